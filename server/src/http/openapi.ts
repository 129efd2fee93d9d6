import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { installDocumentationPages } from './documentation-pages.ts'
import { type StepUp, stepUpSentence } from './step-up.ts'
import { tags } from './tags.ts'

export type OpenApiOptions = { publicUrl: string; version: string }

/**
 * Serves the OpenAPI 3.1 document of every route at /openapi.json, Swagger UI at /docs and ReDoc at /redoc.
 * The document is made when somebody first asks for it.
 */
export function installOpenApi(app: FastifyInstance, { publicUrl, version }: OpenApiOptions): void {
  // Called, not registered: its hook must be there before the first route, and registering waits for the start.
  swagger(
    app,
    {
      convertConstToEnum: false,
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Roster',
          version,
          description:
            'User management: accounts, sign-in, sessions, roles, profiles, settings, audit and events. Errors are problem details (RFC 9457) with a stable `code`.',
          license: { name: 'MIT', identifier: 'MIT' },
        },
        servers: [{ url: publicUrl }],
        tags,
        components: {
          securitySchemes: {
            bearerAuth: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
          },
        },
      },
      refResolver: {
        buildLocalReference: (json, _base, _fragment, index) =>
          typeof json.$id === 'string' ? json.$id : `Schema${index}`,
      },
      transform: ({ schema, url, route }) => ({
        url,
        schema: withStepUp(withSecurity(schema, route.config?.access), route.config?.stepUp),
      }),
    },
    () => undefined,
  )

  let text: string | undefined
  app.get('/openapi.json', { schema: { hide: true }, config: { access: 'public' } }, (_request, reply) => {
    text ??= JSON.stringify(apiDocument(app))
    return reply.header('cache-control', 'no-cache').type('application/json').send(text)
  })
  installDocumentationPages(app)
}

/** What the plugin makes, less the Swagger 2 and the text that it could make as well. */
export type ApiDocument = Extract<ReturnType<FastifyInstance['swagger']>, { openapi: string }>

/** The document as an object, for `openapi.json` in the repository; only after `app.ready()`. */
export function apiDocument(app: FastifyInstance): ApiDocument {
  // The plugin's type is the union of all versions; `openapi: '3.1.0'` above settles which one it makes.
  return app.swagger() as ApiDocument
}

type Documented = Parameters<NonNullable<swagger.FastifyDynamicSwaggerOptions['transform']>>[0]['schema']

function withSecurity(schema: Documented, access: unknown): Documented {
  if (!schema || access === undefined) return schema
  // Said in so many words, since tools ask for it.
  if (access === 'public') return { ...schema, security: [] }
  const isOptional = typeof access === 'object' && access !== null && 'optional' in access
  const permission =
    typeof access === 'object' && access !== null && 'permission' in access ? access.permission : undefined
  return {
    ...schema,
    security: isOptional ? [{}, { bearerAuth: [] }] : [{ bearerAuth: [] }],
    ...(permission !== undefined && {
      description: `${schema.description ?? ''}\n\nNeeds the permission \`${permission}\`.`,
    }),
  }
}

function withStepUp(schema: Documented, stepUp: StepUp | undefined): Documented {
  if (!schema || stepUp === undefined) return schema
  return { ...schema, description: `${schema.description ?? ''}\n\n${stepUpSentence[stepUp]}` }
}
