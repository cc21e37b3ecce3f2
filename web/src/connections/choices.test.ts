import { expect, test } from 'vitest'
import type { Connection, Model } from '../api/types'
import { choiceGroups } from './choices'

const connection = (id: string, model: string | null = null) => ({ id, name: id, model }) as Connection
const model = (id: string) => ({ id, name: id }) as Model
const models: Record<string, Model[]> = {
  Cloud: Array.from({ length: 300 }, (_, number) => model(`maker/model-${number}`)),
  Desk: [model('qwen3'), model('mistral-small')],
}
const both = [connection('Cloud', 'maker/model-7'), connection('Desk')]
const groups = (typed: string) => choiceGroups(both, (id) => models[id], typed)
const told = (typed: string) =>
  groups(typed).map((group) => [group.connection.id, ...group.choices.map((each) => each.words)])

test('a connection that has a model is offered as it is set, before its models', () => {
  expect(told('')[1]).toEqual(['Desk', 'qwen3', 'mistral-small'])
  expect(groups('')[0]?.choices[0]).toMatchObject({ model: null, words: 'As it is set (maker/model-7)' })
})

test('a long list is cut, and says by how much', () => {
  expect(groups('')[0]?.choices.length).toBe(41)
  expect(groups('')[0]?.more).toBe(260)
})

test('what is typed narrows by the words of connection and model, in any order', () => {
  expect(told('SMALL mist')).toEqual([['Desk', 'mistral-small']])
  expect(told('desk qwen')).toContainEqual(['Desk', 'qwen3'])
  expect(told('qwen3')).toEqual([['Desk', 'qwen3']])
})

test('a connection whose models are not known is shown, and cannot be chosen without a model', () => {
  expect(choiceGroups([connection('Bare')], () => undefined, '')).toMatchObject([{ choices: [] }])
})

test('a model that no list names can be chosen by its name', () => {
  expect(choiceGroups([connection('Bare')], () => undefined, ' mine ')).toMatchObject([
    { choices: [{ model: 'mine', words: 'The model “mine”' }] },
  ])
})

test('a name that is in no list is offered for every connection', () => {
  expect(told('gpt-99')).toEqual([
    ['Cloud', 'The model “gpt-99”'],
    ['Desk', 'The model “gpt-99”'],
  ])
})
