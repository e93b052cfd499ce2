/** Fields whose values say who asks, or let in who has them: they are shown to nobody. Rather one too many. */
const SECRET = /auth|cookie|credential|key|passw|secret|session|signature|token/i;

export function isSecretField(name: string): boolean {
  return SECRET.test(name);
}
