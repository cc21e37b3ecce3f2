import { setNonce } from 'get-nonce'

/** Hands the page's nonce to the pieces that add style elements of their own. */
export function adoptNonce(): void {
  // Browsers hide the attribute from scripts' selectors; the property keeps it.
  const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce
  if (nonce) setNonce(nonce)
}
