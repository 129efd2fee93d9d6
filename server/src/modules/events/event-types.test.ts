import { expect, test } from 'vitest'
import { eventTypePatterns, eventTypes, matchesType } from './event-types.ts'

test('a pattern stands for all types of its resource, and only those', () => {
  expect(eventTypePatterns.slice(0, 5)).toEqual(['*', 'user.*', 'session.*', 'role.*', 'settings.*'])
  expect(eventTypes.filter(type => matchesType(['role.*', 'user.erased'], type))).toEqual([
    'user.erased',
    'role.created',
    'role.updated',
    'role.deleted',
  ])
  expect(eventTypes.filter(type => matchesType(['*'], type))).toEqual(eventTypes)
})
