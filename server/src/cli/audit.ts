import {
  type AuditVerification,
  appendAudit,
  type Head,
  parseHead,
  verifyAudit,
} from '../modules/audit/index.ts'
import { exit, type Input, type Run, UsageError } from './command.ts'
import { withServices } from './services.ts'

/** `roster audit verify [--head SEQUENCE:MAC]` */
export const verifyAuditLog: Run = async (input, io) => {
  const given = headOption(input)
  let nextReport = reportEvery
  const { result, kept } = await withServices(io, async services => {
    const kept = services.sealer.knownHead()
    const heads = [given, kept].filter(head => head !== undefined)
    const verified = await verifyAudit(services, {
      heads,
      progress(rows) {
        if (rows < nextReport) return
        nextReport += reportEvery
        io.err(`${rows} rows checked`)
      },
    })
    const { rows, seals, problems, ok } = verified
    await services.store.transact(trx =>
      appendAudit(
        trx,
        services.clock.now(),
        { actorType: 'operator' },
        {
          action: 'audit.verified',
          outcome: ok ? 'success' : 'failure',
          details: { rows, seals, problems: problems.length },
        },
      ),
    )
    return { result: verified, kept }
  })
  for (const line of report(result, kept)) io.out(line)
  return result.ok ? exit.ok : exit.failed
}

const reportEvery = 500_000

function headOption(input: Input): Head | undefined {
  const text = input.get('head')
  const head = text === undefined ? undefined : parseHead(text)
  if (text !== undefined && !head) throw new UsageError('--head takes what an earlier verification printed')
  return head
}

function report(result: AuditVerification, kept: Head | undefined): string[] {
  const { rows, seals, unsealed, erased, head, problems } = result
  return [
    ...problems.map(({ message }) => `✗ ${message}`),
    `${result.ok ? 'The audit log is whole' : 'The audit log was tampered with'}: ${rows} rows, ${seals} seals.`,
    ...(unsealed > 0 ? [`${unsealed} of the rows are not sealed yet; the running service does that.`] : []),
    ...(erased > 0
      ? [`${erased} of the rows lost their address and device when their person was erased.`]
      : []),
    ...(kept
      ? []
      : ['This data folder remembers no earlier end of the log: that its end is there is not proved.']),
    ...(head === null ? [] : [`Its end, to keep elsewhere and to give as --head next time: ${head}`]),
  ]
}
