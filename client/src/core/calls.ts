import type { Client, MaybeOptionalInit } from 'openapi-fetch'
import type { MediaType, PathsWithMethod, RequiredKeysOf, SuccessResponse } from 'openapi-typescript-helpers'
import type { paths } from '../generated/api.ts'

type Verb = 'get' | 'post' | 'put' | 'patch' | 'delete'

type Responses<Operation> = Operation extends { responses: infer R extends Record<string | number, unknown> }
  ? R
  : never

/** What a route answers with: undefined where its reply has no body. */
export type Answer<Operation> = SuccessResponse<Responses<Operation>, MediaType>

/** The second argument of a call: left out where a route needs neither parameters nor a body. */
export type Arguments<Init> = RequiredKeysOf<Init> extends never ? [init?: Init] : [init: Init]

/** Calls a route. @throws RosterError where the service refuses, TypeError where it can't be reached */
export type Call<V extends Verb> = <P extends PathsWithMethod<paths, V>>(
  path: P,
  ...init: Arguments<NonNullable<MaybeOptionalInit<paths[P], V>>>
) => Promise<Answer<paths[P][V]>>

export type Calls = { readonly [V in Verb]: Call<V> }

const verbs = ['get', 'post', 'put', 'patch', 'delete'] as const

/** The verbs of `client`, which answer the data alone. */
export function createCalls(client: Client<paths>): Calls {
  const made = verbs.map(verb => {
    const call = async (path: string, init?: object): Promise<unknown> => {
      // The types of `Call` say for each path what this passes on.
      const { response } = await client.request(verb, path as never, { parseAs: 'stream', ...init } as never)
      return bodyOf(response)
    }
    return [verb, call] as const
  })
  return Object.fromEntries(made) as unknown as Calls // made from the very same verbs
}

/** JSON as a value, anything else as text; undefined where there is nothing. */
async function bodyOf(reply: Response): Promise<unknown> {
  const text = await reply.text()
  if (text === '') return undefined
  return /[/+]json/.test(reply.headers.get('content-type') ?? '') ? JSON.parse(text) : text
}

/** The lists that are read page by page, with `next_cursor`. */
export type ListPath = {
  [P in PathsWithMethod<paths, 'get'>]: Answer<paths[P]['get']> extends {
    items: unknown[]
    next_cursor: string | null
  }
    ? P
    : never
}[PathsWithMethod<paths, 'get'>]

export type ItemOf<P extends ListPath> =
  Answer<paths[P]['get']> extends { items: readonly (infer Item)[] } ? Item : never

/** Every item of a list, page after page. */
export async function* readList<P extends ListPath>(
  get: Call<'get'>,
  path: P,
  ...[init]: Arguments<NonNullable<MaybeOptionalInit<paths[P], 'get'>>>
): AsyncGenerator<ItemOf<P>, void, undefined> {
  let cursor: string | null | undefined
  const given = init as { params?: { query?: object } } | undefined
  do {
    const query = { ...given?.params?.query, ...(cursor && { cursor }) }
    const page = (await get(path, ...([{ ...given, params: { ...given?.params, query } }] as never))) as {
      items: ItemOf<P>[]
      next_cursor: string | null
    } // what makes a path a ListPath
    yield* page.items
    cursor = page.next_cursor
  } while (cursor)
}
