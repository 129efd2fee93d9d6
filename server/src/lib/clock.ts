/** Where the service takes the time from. Tests pass one that they move by hand. */
export type Clock = { now(): Date }

export const systemClock: Clock = { now: () => new Date() }

export const seconds = (n: number): number => n * 1000
export const minutes = (n: number): number => n * 60_000
export const hours = (n: number): number => n * 3_600_000
export const days = (n: number): number => n * 86_400_000

/** `at` moved by `milliseconds`, which may be negative. */
export const addTime = (at: Date, milliseconds: number): Date => new Date(at.getTime() + milliseconds)

/** The last moment that has a year of four digits, as times are written. */
export const latestTime = new Date('9999-12-31T23:59:59.999Z')
