/** Calls back when the reader looks at the page again, or the network is there again. */
export function onReturn(listener: () => void): () => void {
  const seen = () => {
    if (document.visibilityState === 'visible') listener()
  }
  document.addEventListener('visibilitychange', seen)
  addEventListener('online', listener)
  return () => {
    document.removeEventListener('visibilitychange', seen)
    removeEventListener('online', listener)
  }
}
