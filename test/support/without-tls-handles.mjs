// Preloaded into Fairlead and its threads: a Node on which there is no way to the TLS handles, but to those of TCP.
const { binding } = process;
process.binding = (name) => {
  if (name === 'tls_wrap') throw new Error('not here');
  return binding(name);
};
