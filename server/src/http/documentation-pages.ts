import { randomBytes } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { sendPage } from './security-headers.ts'

type Asset = { file: () => string; type: string; rewrite?: (text: string) => string }

const script = 'text/javascript; charset=utf-8'
const style = 'text/css; charset=utf-8'

const swaggerFile = (name: string) => () =>
  join(dirname(fileURLToPath(import.meta.resolve('@fastify/swagger-ui'))), 'static', name)

/** Files of the two packages, read from the disk when a browser asks: at rest they cost no memory. */
const assets: Record<string, Asset> = {
  '/docs/swagger-ui.css': { file: swaggerFile('swagger-ui.css'), type: style },
  '/docs/swagger-ui-bundle.js': { file: swaggerFile('swagger-ui-bundle.js'), type: script },
  '/docs/favicon-32x32.png': { file: swaggerFile('favicon-32x32.png'), type: 'image/png' },
  '/redoc/redoc.standalone.js': {
    file: () => fileURLToPath(import.meta.resolve('redoc/bundles/redoc.standalone.js')),
    type: script,
    // ReDoc's footer loads its logo from its maker's host; here no page asks anybody else for anything.
    rewrite: text => text.replaceAll('https://cdn.redoc.ly/redoc/logo-mini.svg', 'data:,'),
  },
}

const swaggerStart = `window.ui = SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#docs',
  deepLinking: true,
  filter: true,
  validatorUrl: null,
  persistAuthorization: false,
  tryItOutEnabled: true,
  presets: [SwaggerUIBundle.presets.apis],
})
`

const redocStart = `Redoc.init(
  '/openapi.json',
  { nonce: document.currentScript.dataset.nonce, disableSearch: false, hideDownloadButton: false },
  document.getElementById('docs'),
)
`

const swaggerPage = page(
  `<link rel="stylesheet" href="/docs/swagger-ui.css"><link rel="icon" type="image/png" href="/docs/favicon-32x32.png">`,
  `<script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script>`,
)

const redocPage = (nonce: string) =>
  page(
    `<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">`,
    `<script src="/redoc/redoc.standalone.js"></script><script src="/redoc/start.js" data-nonce="${nonce}"></script>`,
  )

function page(head: string, scripts: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Roster API</title>${head}</head>
<body><div id="docs"></div>${scripts}</body>
</html>
`
}

/** Swagger UI at /docs and ReDoc at /redoc: pages and files of this service alone. */
export function installDocumentationPages(app: FastifyInstance): void {
  const options = { schema: { hide: true }, config: { access: 'public' as const } }
  app.get('/docs', options, (_request, reply) => sendPage(reply, swaggerPage))
  app.get('/docs/start.js', options, (_request, reply) => reply.type(script).send(swaggerStart))
  app.get('/redoc', options, (_request, reply) => {
    const nonce = randomBytes(16).toString('base64url')
    return sendPage(reply, redocPage(nonce), { styleNonce: nonce, blobWorkers: true })
  })
  app.get('/redoc/start.js', options, (_request, reply) => reply.type(script).send(redocStart))
  for (const [path, asset] of Object.entries(assets)) {
    app.get(path, options, (request, reply) => sendAsset(request, reply, asset))
  }
}

function sendAsset(
  request: FastifyRequest,
  reply: FastifyReply,
  { file, type, rewrite }: Asset,
): FastifyReply {
  const path = file()
  const { size, mtimeMs } = statSync(path)
  const etag = `"${size.toString(36)}-${Math.trunc(mtimeMs).toString(36)}"`
  reply.header('cache-control', 'public, max-age=3600').header('etag', etag)
  if (request.headers['if-none-match'] === etag) return reply.code(304).send()
  const content = rewrite ? rewrite(readFileSync(path, 'utf8')) : readFileSync(path)
  return reply.type(type).send(content)
}
