import type { FastifyRequest } from 'fastify'

/**
 * Whether a form was posted from a page of ours. Every browser of today says where a request comes from
 * (Sec-Fetch-Site) or from which origin a form does (Origin); one that says neither is not believed.
 * @param isOurs whether an origin is one under which people reach these pages
 */
export function isFromOurPages(request: FastifyRequest, isOurs: (origin: string) => boolean): boolean {
  const { origin, 'sec-fetch-site': site } = request.headers
  if (site !== undefined && site !== 'same-origin') return false
  return origin === undefined ? site === 'same-origin' : isOurs(origin)
}
