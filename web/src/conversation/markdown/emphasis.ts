/**
 * Emphasis beside Chinese, Japanese and Korean punctuation, and asterisks that are no emphasis: one inside a
 * product (`5*6*7`, `2*x`, `a*b*c`) multiplies.
 */
import { cjkFriendlyExtension } from 'micromark-extension-cjk-friendly'
import { tryGetCodeTwoBefore } from 'micromark-extension-cjk-friendly-util'
import type { Code, Construct, Extension } from 'micromark-util-types'

const ASTERISK = '*'.charCodeAt(0)
const WORD = /[\p{L}\p{N}]/u
const DIGIT = /\p{N}/u
const PRODUCT =
  /(?<=\p{N})\*+(?=[\p{L}\p{N}])|(?<=\p{L})\*+(?=\p{N})|(?<=(?<![\p{L}\p{N}])\p{L})\*+(?=\p{L})/gu

/** `text` without the asterisks that multiply. */
export function withoutProducts(text: string): string {
  return text.replace(PRODUCT, '')
}

export function emphasis(): Extension {
  const cjk = cjkFriendlyExtension()
  const attention = cjk.text?.[ASTERISK] as Construct
  const asterisks: Construct = {
    ...attention,
    tokenize(effects, ok, nok) {
      const { previous } = this
      const beforePrevious =
        previous === null ? null : tryGetCodeTwoBefore(previous, this.now(), this.sliceSerialize)
      return attention.tokenize.call(
        this,
        effects,
        (code) => {
          const token = this.events.at(-1)?.[1]
          if (token !== undefined && multiplies(beforePrevious, previous, code)) {
            token._open = false
            token._close = false
          }
          return ok(code)
        },
        nok,
      )
    },
  }
  return { ...cjk, text: { ...cjk.text, [ASTERISK]: asterisks } }
}

function multiplies(beforePrevious: Code, previous: Code, next: Code): boolean {
  if (!is(WORD, previous) || !is(WORD, next)) return false
  return is(DIGIT, previous) || is(DIGIT, next) || !is(WORD, beforePrevious)
}

function is(kind: RegExp, code: Code): boolean {
  return code !== null && code > 0 && kind.test(String.fromCodePoint(code))
}
