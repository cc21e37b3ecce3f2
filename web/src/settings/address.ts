/**
 * A provider's address as people copy it, mended: without the path of one kind of request, and with
 * a scheme. The server does the same to what it is sent (`providers/reach.py`); `addresses.json`
 * holds both to one table.
 */

const ENDPOINT =
  /(?:\/chat\/completions|\/completions|\/responses|\/embeddings|\/messages(?:\/count_tokens)?|(?<version>\/v\d\w*)\/models(?:\/[^/?]+:\w+(?:\?alt=sse)?)?)\/*$/i
const OLLAMAS_OWN = /\/api\/(?:chat|generate|tags|show|ps|version)\/*$/i
const WITHOUT_SCHEME = /^(\[[0-9a-f:.]+\]|[\w.-]+)(?::\d+)?(?:\/.*)?$/i
/** Names and addresses at home, where a model's server seldom has a certificate. */
const AT_HOME =
  /^(?:\[.*\]|[^.]+|.*\.(?:localhost|local|lan|home|internal)|127\.\d+\.\d+\.\d+|10\.\d+\.\d+\.\d+|192\.168\.\d+\.\d+|172\.(?:1[6-9]|2\d|3[01])\.\d+\.\d+)$/i

export function mendedAddress(typed: string): string {
  let address = typed.trim()
  const host = WITHOUT_SCHEME.exec(address)?.[1]
  if (host !== undefined) address = `${AT_HOME.test(host) ? 'http' : 'https'}://${address}`
  if (!/^https?:\/\/[^/]/i.test(address)) return address
  if (ENDPOINT.test(address)) return address.replace(ENDPOINT, '$<version>')
  return address.replace(OLLAMAS_OWN, '/v1')
}
