import fs from 'node:fs'
import path from 'node:path'
import { joinWords } from '@roster/server/src/modules/users/search/terms.ts'
import { temporaryFolder } from '@roster/server/src/testing/temporary-folder.ts'
import { expect, onTestFinished, test } from 'vitest'
import { coldSettingsAgainstRecord, dryRunEffect, searchTimes, settingsAgainstRecord } from './measure.ts'
import { openWorld } from './world.ts'

test('every figure comes out, with few people and for a fraction of a second', async () => {
  const world = await openWorld({ people: 300, searchers: 3 }, () => undefined)
  try {
    expect(world.ids).toHaveLength(300)
    // As the service itself would have folded them:
    const { rows } = await world.sql.query(`
      select s.names, s.title, s.location, s.skills, u.username, u.full_name, u.current_title, u.location as place
      from user_search s join users u on u.id = s.user_id where u.email like '%@example.com'`)
    for (const row of rows) {
      expect(row.names).toBe(joinWords(row.username, row.full_name))
      expect(row.title).toBe(joinWords(row.current_title))
      expect(row.location).toBe(joinWords(row.place, 'Europe'))
    }
    expect((await settingsAgainstRecord(world, { seconds: 0.1, rounds: 1 })).ratio).toBeGreaterThan(0)
    expect((await coldSettingsAgainstRecord(world, { seconds: 0.1, rounds: 1 })).ratio).toBeGreaterThan(0)
    const times = await searchTimes(world, 0.1)
    expect(times.map(({ p95 }) => p95).every(time => time > 0)).toBe(true)
    expect(await dryRunEffect(world, { perSecond: 50, seconds: 0.3 })).toMatchObject({ checked: 300 })
  } finally {
    await world.stop()
  }
})

test('a world that can’t be made leaves nothing running', async () => {
  const { folder, remove } = temporaryFolder()
  onTestFinished(remove)
  const fail = () => {
    throw new Error('the last of the people was made')
  }
  await expect(openWorld({ people: 1, searchers: 0, folder }, fail)).rejects.toThrow('the last of the people')
  expect(fs.existsSync(path.join(folder, 'postgres/PG_VERSION'))).toBe(true)
  expect(fs.existsSync(path.join(folder, 'postgres/postmaster.pid'))).toBe(false)
})
