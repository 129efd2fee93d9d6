import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { compileMjml } from '../../server/src/delivery/mail/compile.ts'

const source = new URL('../../server/src/delivery/mail/mail.mjml', import.meta.url)

/** The page of every mail, so that the service needs no MJML compiler to send one. */
export const mailPage = async (): Promise<string> =>
  compileMjml(await readFile(source, 'utf8'), fileURLToPath(source))
