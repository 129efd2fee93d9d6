import { createAdministratorByOperator } from '../modules/auth/index.ts'
import type { Services } from '../services.ts'
import { exit, type Run } from './command.ts'
import { askNewPassword, readPassword } from './password.ts'
import { withServices } from './services.ts'

/** `roster admin create --email … [--username …] [--full-name …] [--password-stdin]` */
export const createAdministrator: Run = async (input, io) => {
  const password = input.has('password-stdin') ? await readPassword(io) : await askNewPassword(io)
  const email = input.get('email') ?? ''
  const person = { email, password, username: input.get('username'), full_name: input.get('full-name') }
  const create = (services: Services) => createAdministratorByOperator(services, person)
  const id = await withServices(io, create, { mayCreate: true })
  io.out(`Created administrator ${email} (${id}).`)
  return exit.ok
}
