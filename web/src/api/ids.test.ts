import { expect, test } from 'vitest'
import { newId } from './ids'

const UUID_4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

test('an id is a version 4 UUID that begins with its moment', () => {
  const before = Date.now()
  const id = newId()
  const after = Date.now()
  expect(id).toMatch(UUID_4)
  const millis = Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)
  expect(millis).toBeGreaterThanOrEqual(before)
  expect(millis).toBeLessThanOrEqual(after)
})

test('no two are the same', () => {
  expect(new Set(Array.from({ length: 10_000 }, newId)).size).toBe(10_000)
})
