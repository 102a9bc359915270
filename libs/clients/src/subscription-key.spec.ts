import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ownedSubscription, subscriptionKey, subscriptionOwned } from './subscription-key.ts';

/** As the registry lets them be; a part of a broadcast is named `WHOLE:CONSUMER`. */
const word = fc.stringMatching(/^[A-Za-z0-9._-]{1,128}$/);
const name = fc.oneof(
  word,
  fc.tuple(word, word).map((names) => names.join(':')),
);
const subscription = fc.record({ tenant: word, name });

describe('subscriptionKey', () => {
  it.each([
    [{ tenant: 'acme', name: 'billing' }, 'acme/billing'],
    [{ tenant: 'acme', name: 'news:laptop' }, 'acme/news:laptop'],
  ])('of %j is %s', (given, key) => {
    expect(subscriptionKey(given)).toBe(key);
  });

  it('is the same for the same subscription only', () => {
    fc.assert(
      fc.property(subscription, subscription, (a, b) => {
        const same = a.tenant === b.tenant && a.name === b.name;
        expect(subscriptionKey(a) === subscriptionKey(b)).toBe(same);
        expect(subscriptionKey({ ...a })).toBe(subscriptionKey(a));
      }),
    );
  });
});

describe('subscriptionOwned', () => {
  it('says the subscription, and is read as its key', () => {
    expect(subscriptionOwned({ tenant: 'acme', name: 'billing' })).toBe(
      'subscription/acme/billing',
    );
    fc.assert(
      fc.property(subscription, (owned) => {
        expect(ownedSubscription(subscriptionOwned(owned))).toBe(subscriptionKey(owned));
      }),
    );
  });

  it.each(['link/east', 'timers/acme', 'dead/acme', 'subscription', ''])(
    'is not what "%s" is',
    (owned) => {
      expect(ownedSubscription(owned)).toBe('');
    },
  );
});
