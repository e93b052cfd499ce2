/** What clients are served with over TLS, and until when. */
import type { Tone } from '../data/rows.ts';
import { live } from '../data/session.ts';
import type { Certificates as Answer, CertificateView, FetchedView } from '../data/shapes.ts';
import { useStore } from '../data/store.ts';
import { day, moment } from '../data/words.ts';
import { Badge, Facts, Trouble, useAnswer } from '../parts/facts.tsx';

const EVERY_MS = 60_000;

export function Certificates() {
  const generation = useStore(live.look)?.totals.generation;
  const { body, trouble } = useAnswer<Answer>('certificates', generation, EVERY_MS);
  return (
    <section>
      <h2>Certificates</h2>
      <Trouble text={trouble} />
      {body?.faults.map(({ file, message }) => (
        <p key={file} class="trouble">
          {file}: {message}
        </p>
      ))}
      {body?.certificates.length === 0 && <p class="empty">No listener speaks TLS.</p>}
      <ul class="cards">
        {body?.certificates.map((one) => (
          <Card key={`${one.listener} ${one.fingerprint_sha256}`} one={one} />
        ))}
      </ul>
      {body !== null && body !== undefined && body.acme.length > 0 && (
        <>
          <h3>Fetched over ACME</h3>
          <ul class="cards">
            {body.acme.map((one) => (
              <Fetched key={`${one.ca} ${one.name}`} one={one} />
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function toneOf(daysLeft: number): Tone {
  if (daysLeft < 7) return 'bad';
  return daysLeft < 21 ? 'warn' : 'good';
}

function Card({ one }: { readonly one: CertificateView }) {
  const left = one.days_left < 0 ? 'expired' : `${one.days_left} days left`;
  return (
    <li>
      <strong>{one.names.join(', ') || one.subject}</strong>{' '}
      <Badge tone={toneOf(one.days_left)}>{left}</Badge>
      {one.default && <Badge tone="off">default</Badge>}
      <Facts
        all={{
          good: `${day(one.not_before)} to ${day(one.not_after)}`,
          'served for': one.served_names.join(', ') || null,
          issuer: one.issuer,
          key: one.key_type,
          listener: one.listener,
          file: one.cert_file,
          OCSP: one.stapled ? 'an answer goes with it' : null,
        }}
      />
    </li>
  );
}

const TONES: Readonly<Record<FetchedView['state'], Tone>> = {
  good: 'good',
  awaited: 'warn',
  ordering: 'warn',
  failing: 'bad',
};

function Fetched({ one }: { readonly one: FetchedView }) {
  const { problem, next_try: next } = one;
  return (
    <li>
      <strong>{one.name}</strong> <Badge tone={TONES[one.state]}>{one.state}</Badge>
      {problem !== null && (
        <p class="trouble">
          {problem.detail}
          {problem.hint !== null && `: ${problem.hint}`}
        </p>
      )}
      <Facts
        all={{
          renewal: one.renew_at === null ? null : day(one.renew_at),
          'next try': next === null ? null : `${moment(next)}, after ${one.failures} failed`,
          challenge: one.challenge,
          authority: one.ca,
        }}
      />
    </li>
  );
}
