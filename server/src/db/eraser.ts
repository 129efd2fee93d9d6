import type { Tx } from './store.ts'

/** Who is being erased, as they were: some copies are found by address, not by id. */
export type ErasedPerson = { userId: string; email: string; phoneNumber: string | null }

/**
 * Removes what one module holds of a person, in the transaction that erases them. A module that keeps personal
 * data anywhere but in a table that refers to `users` with `on delete cascade` offers one; services.ts lists them.
 */
export type Eraser = (trx: Tx, person: ErasedPerson) => Promise<void>
