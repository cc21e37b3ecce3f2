/**
 * Markdown cut into blocks that are parsed by themselves, so that only the last block of a growing text
 * is parsed again, and no block is dearer to parse than `MOST_WEIGHT`. Joined, the blocks are the text.
 *
 * Cuts stand at blank lines outside fences and lists. A block of more than `GOOD_WEIGHT` is cut at its next
 * line too, unless the line belongs to a fence, a table or a list item. What is still too heavy, or nested
 * deeper than `MAX_DEPTH`, is not parsed: it becomes blocks of plain text.
 *
 * Weight stands for time: the parser needs about a microsecond for each unit on a slow machine. Marks weigh
 * more than other characters because each is tried as the start of several constructs.
 */
export interface Block {
  readonly text: string
  readonly kind: 'markdown' | 'plain'
  /** It continues the block before it: no gap stands between the two. */
  readonly joins: boolean
  readonly weight: number
}

/** A text's blocks, and where the scan of a longer text goes on. */
export interface Blocks {
  readonly text: string
  readonly blocks: readonly Block[]
  /** The last cut that no further text can move: the line after it is whole. */
  readonly settled: Cut
}

interface Cut {
  /** Offset of the block's first character. */
  readonly at: number
  /** How many blocks stand before it. */
  readonly count: number
  readonly joins: boolean
}

const GOOD_WEIGHT = 16_000
const MOST_WEIGHT = 40_000
const MAX_DEPTH = 32
/** Characters of one block of plain text: a browser lays out many short paragraphs faster than one long one. */
const SLICE = 4_000

const MARK_WEIGHT = 16
const MARKS = new Uint8Array(128)
for (const mark of '*_~[]!<>&|`\\\n') MARKS[mark.charCodeAt(0)] = 1

const FENCE = /^ {0,3}(`{3,}|~{3,})/
const ITEM = /^ {0,3}([-*+]|\d{1,9}[.)])(\s|$)/
const INDENT = /^( {2,}|\t)/
const DELIMITER_ROW = /^ {0,3}(?=[^\n]*\|)[|:\- \t]*-[|:\- \t]*\n?$/
const CONTAINER = /([ \t]*)(?:>|[-+*](?=[ \t])|\d{1,9}[.)](?=[ \t]))/y

const START: Cut = { at: 0, count: 0, joins: false }

/** The blocks of `text`. Where it begins with the text of `before`, only the end is scanned. */
export function blocksOf(text: string, before?: Blocks): Blocks {
  let settled = before !== undefined && text.startsWith(before.text) ? before.settled : START
  const blocks = before === undefined ? [] : before.blocks.slice(0, settled.count)
  let last = settled
  let open = new OpenBlock()
  let at = last.at
  while (at < text.length) {
    const newline = text.indexOf('\n', at)
    const end = newline < 0 ? text.length : newline + 1
    const line = text.slice(at, end)
    const cut = open.cutBefore(line)
    if (cut !== null) {
      add(blocks, text.slice(last.at, at), open, last.joins)
      last = { at, count: blocks.length, joins: cut === 'joins' }
      if (newline >= 0) settled = last
      open = new OpenBlock()
    }
    open.take(line)
    at = end
  }
  if (last.at < text.length) add(blocks, text.slice(last.at), open, last.joins)
  return { text, blocks: blocks.map((block, place) => asBefore(block, before?.blocks[place])), settled }
}

/** The same object for the same block: it is not drawn again. */
function asBefore(block: Block, before: Block | undefined): Block {
  const { text, kind, joins } = block
  return before?.text === text && before.kind === kind && before.joins === joins ? before : block
}

/** The block that the scan is in. */
class OpenBlock {
  weight = 0
  isTooDeep = false
  private fence: string | null = null
  private hasText = false
  private isList = false
  private isTable = false
  private isAfterBlank = false

  /** Whether the block ends before `line`, and whether what follows joins it. */
  cutBefore(line: string): 'apart' | 'joins' | null {
    if (this.fence !== null || !this.hasText || isBlank(line)) return null
    if (this.isAfterBlank && !INDENT.test(line) && !(this.isList && ITEM.test(line))) return 'apart'
    if (this.weight < GOOD_WEIGHT || this.isTable) return null
    const starts = this.isList ? ITEM.test(line) : !INDENT.test(line)
    return starts ? 'joins' : null
  }

  take(line: string): void {
    this.isAfterBlank = isBlank(line)
    if (!this.isAfterBlank && !this.hasText) {
      this.hasText = true
      this.isList = ITEM.test(line)
    }
    const mark = FENCE.exec(line)?.[1]
    if (this.fence !== null) this.weight += line.length + MARK_WEIGHT
    else {
      this.weight += weightOf(line)
      this.isTooDeep ||= depthOf(line) > MAX_DEPTH
      this.isTable ||= DELIMITER_ROW.test(line)
    }
    if (mark === undefined) return
    if (this.fence === null) this.fence = mark
    else if (mark[0] === this.fence[0] && mark.length >= this.fence.length && line.trim() === mark)
      this.fence = null
  }
}

function add(blocks: Block[], text: string, { weight, isTooDeep }: OpenBlock, joins: boolean): void {
  if (!isTooDeep && weight <= MOST_WEIGHT) {
    blocks.push({ text, kind: 'markdown', joins, weight })
    return
  }
  for (let at = 0; at < text.length; ) {
    const end = sliceEnd(text, at)
    const slice = text.slice(at, end)
    blocks.push({ text: slice, kind: 'plain', joins: joins || at > 0, weight: slice.length })
    at = end
  }
}

/** Where a slice that begins at `at` ends: after a line, else after a word, and never inside a character. */
function sliceEnd(text: string, at: number): number {
  const most = at + SLICE
  if (most >= text.length) return text.length
  const half = at + SLICE / 2
  const line = text.lastIndexOf('\n', most - 1)
  if (line >= half) return line + 1
  const word = text.lastIndexOf(' ', most - 1)
  if (word >= half) return word + 1
  const isInsidePair = (text.charCodeAt(most) & 0xfc00) === 0xdc00
  return isInsidePair ? most - 1 : most
}

function weightOf(line: string): number {
  let marks = 0
  for (let i = 0; i < line.length; i++) marks += MARKS[line.charCodeAt(i)] ?? 0
  return line.length + marks * MARK_WEIGHT
}

/** How many quotes and lists this line stands in, at most. Two columns of indentation hold one list. */
function depthOf(line: string): number {
  let depth = 0
  CONTAINER.lastIndex = 0
  for (let found = CONTAINER.exec(line); found !== null && depth <= MAX_DEPTH; found = CONTAINER.exec(line))
    depth += 1 + Math.floor((found[1]?.length ?? 0) / 2)
  return depth
}

function isBlank(line: string): boolean {
  return line.trim() === ''
}
