const here = import.meta.url

/** The path under which the server is reached, without a slash at its end: /tales, or nothing. */
export const BASE = import.meta.env.PROD ? new URL('..', here).pathname.replace(/\/$/, '') : ''

/** The page was opened past the proxy, where the path is missing: go to the same place under it. */
export function isOutside(path: string, base = BASE): boolean {
  return path !== base && !path.startsWith(`${base}/`)
}
