import { hours, minutes, seconds } from '../lib/clock.ts'

/** Milliseconds before the second attempt, the third and so on; after the last the message is dead. */
const delays = [
  seconds(10),
  seconds(30),
  minutes(2),
  minutes(10),
  minutes(30),
  hours(1),
  hours(2),
  hours(4),
  hours(8),
]

/** Milliseconds until the attempt after `attempts`, or undefined where that was the last. */
export const retryDelay = (attempts: number): number | undefined => delays[attempts - 1]

/** Milliseconds after which an attempt of which nothing was heard counts as lost with its process. */
export const attemptLease = minutes(1)

/** Milliseconds for which nothing is tried at a provider that takes nothing at the moment. */
export const providerPause = seconds(10)
