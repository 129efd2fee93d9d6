import fs from 'node:fs'
import { formatHex, wcagContrast } from 'culori'
import { describe, expect, test } from 'vitest'
import { paletteOf, readable } from './palette.ts'

const css = fs.readFileSync(new URL('../../../design/tokens.css', import.meta.url), 'utf8')

/** The colours of a mode, by token. */
function colours(mode: 0 | 1): Map<string, string> {
  const found = css.matchAll(/--([\w-]+): light-dark\((oklch\([^;]*\)), (oklch\([^;]*\))\);/g)
  return new Map(
    [...found].map(([, name = '', light = '', dark = '']) => [
      name,
      formatHex([light, dark][mode]?.replace('var(--hue)', '262') ?? '') ?? 'unreadable',
    ]),
  )
}

const texts: [text: string, ground: string, least: number][] = [
  ...['ground', 'card', 'field', 'hover', 'accent-soft', 'danger-soft', 'good-soft', 'warn-soft'].map(
    ground => ['text', ground, 7] as [string, string, number],
  ),
  ...['ground', 'card', 'field', 'hover'].map(
    ground => ['quiet', ground, readable] as [string, string, number],
  ),
  ['accent', 'card', readable],
  ['accent', 'ground', readable],
  ['accent', 'accent-soft', readable],
  ['on-accent', 'accent', readable],
  ['danger', 'card', readable],
  ['danger', 'danger-soft', readable],
  ['on-danger', 'danger', readable],
  ['good', 'card', readable],
  ['good', 'good-soft', readable],
  ['warn', 'card', readable],
  ['warn', 'warn-soft', readable],
  // The edge of a field is what shows that it is one (WCAG 2.2, 1.4.11).
  ['field-line', 'card', 3],
  ['field-line', 'field', 3],
  ['field-line', 'ground', 3],
]

describe.each([
  ['light', 0],
  ['dark', 1],
] as const)('the design tokens, %s', (_mode, at) => {
  const tokens = colours(at)
  test.each(texts)('%s on %s has a contrast of at least %d', (text, ground, least) => {
    expect(wcagContrast(tokens.get(text) ?? '', tokens.get(ground) ?? '')).toBeGreaterThanOrEqual(least)
  })
})

test.each([
  '#000000',
  '#ffffff',
  '#ffff00',
  '#ff0000',
  '#00ff88',
  '#2f6feb',
  '#8b8b8b',
  '#e6007e',
  '#001d3d',
])('a brand of %s is made readable in both modes', color => {
  const { accent, onAccent } = paletteOf(color)
  for (const mode of ['light', 'dark'] as const) {
    expect(wcagContrast(accent[mode], onAccent[mode])).toBeGreaterThanOrEqual(readable)
    const ground = colours(mode === 'light' ? 0 : 1)
    for (const name of ['card', 'ground'])
      expect(wcagContrast(accent[mode], ground.get(name) ?? '')).toBeGreaterThanOrEqual(readable)
  }
})

test('a brand colour that can be read as it is stays as it is', () => {
  expect(paletteOf('#1f5fd0').accent.light).toBe('#1f5fd0')
})
