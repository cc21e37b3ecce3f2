/** Stands in for `mdast-util-to-markdown`, whose handlers are only called when Markdown is written. */
export const defaultHandlers = {}
