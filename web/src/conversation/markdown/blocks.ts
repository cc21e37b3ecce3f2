/**
 * Markdown cut into blocks that can be parsed by themselves, so that only the last one of a growing reply
 * is parsed again. Joined, the blocks are the text. Cuts stand at blank lines outside fences and lists;
 * a text with link or footnote definitions is one block, since those reach across all of it.
 */
const FENCE = /^ {0,3}(`{3,}|~{3,})/
const ITEM = /^ {0,3}([-*+]|\d{1,9}[.)])(\s|$)/
const DEFINITION = /^ {0,3}\[[^\]]+\]:/m

export function blocksOf(text: string): string[] {
  if (DEFINITION.test(text)) return [text]
  const blocks: string[] = []
  let block = ''
  let fence: string | null = null
  let isList = false
  let afterBlank = false

  for (const line of text.split(/(?<=\n)/)) {
    const isBlank = line.trim() === ''
    if (fence === null && afterBlank && !isBlank && block.trim() !== '') {
      const goesOn = /^( {2,}|\t)/.test(line) || (isList && ITEM.test(line))
      if (!goesOn) {
        blocks.push(block)
        block = ''
      }
    }
    if (block.trim() === '') isList = ITEM.test(line)
    const mark = FENCE.exec(line)?.[1]
    if (mark !== undefined) {
      if (fence === null) fence = mark
      else if (mark[0] === fence[0] && mark.length >= fence.length && line.trim() === mark) fence = null
    }
    block += line
    afterBlank = isBlank
  }
  if (block !== '') blocks.push(block)
  return blocks
}
