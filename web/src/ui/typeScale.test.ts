import { describe, expect, it } from 'vitest'
import theme from './base.css?raw'

const components = import.meta.glob<string>('../**/*.{ts,tsx}', {
  query: '?raw',
  import: 'default',
  eager: true,
})
const sheets = import.meta.glob<string>('../**/*.css', { query: '?raw', import: 'default', eager: true })

const named = (kind: string) =>
  [...theme.matchAll(new RegExp(`--${kind}-([a-z-]+?):`, 'g'))].map((found) => found[1])
const STEPS = named('text').filter((name) => !name?.endsWith('--line-height'))
const COLORS = named('color')
/** What `text-` is besides a size or a colour. */
const OTHERS = [
  'left',
  'center',
  'right',
  'start',
  'end',
  'balance',
  'pretty',
  'nowrap',
  'ellipsis',
  'transparent',
]

/** Every class `text-…` that is no step of the scale. */
function strayIn(code: string): string[] {
  const classes = [...code.matchAll(/(?<=["'`\s:])text-(\[[^\]]*\]|[a-z0-9-]+)/g)].map(
    (found) => found[1] ?? '',
  )
  return classes.filter((name) => ![...STEPS, ...COLORS, ...OTHERS].includes(name))
}

describe('the type scale', () => {
  it('is read from the theme', () => {
    expect(STEPS).toContain('label')
    expect(COLORS).toContain('quiet')
    expect(strayIn('"px-2 text-label hover:text-ink sm:text-center"')).toEqual([])
    expect(strayIn('"text-[0.9375rem] text-sm md:text-2xl"')).toEqual(['[0.9375rem]', 'sm', '2xl'])
  })

  it('has every size of text in the components', () => {
    expect(Object.keys(components).length).toBeGreaterThan(200)
    const strays = Object.entries(components)
      .filter(([path]) => !path.endsWith('.test.ts') && !path.endsWith('.test.tsx'))
      .map(([path, code]) => [path, strayIn(code)] as const)
      .filter(([, found]) => found.length > 0)
    expect(strays).toEqual([])
  })

  it('has every size of text in the style sheets that is not a part of the text around it', () => {
    const sizes = Object.values(sheets).flatMap((css) =>
      [...css.matchAll(/font-size:\s*([^;]+);/g)].map(([, size]) => size ?? ''),
    )
    expect(sizes.length).toBeGreaterThan(3)
    expect(sizes.filter((size) => !/^([0-9.]+em|var\(--[a-z]+\))$/.test(size))).toEqual([])
  })
})
