import { type RefObject, useEffect, useLayoutEffect, useRef, useState } from 'react'

/** How far beyond the screen something is drawn already. */
const MARGIN = '1200px 0px'

interface NearOptions {
  /** It is drawn wherever it is. */
  always: boolean
  /** Its height in pixels before it was drawn for the first time. */
  guess: () => number
}

/**
 * Whether `box` is near the screen, and how high it is while it is not drawn. What is drawn above the top of
 * the screen moves nothing of what is read there.
 */
export function useNear(box: RefObject<HTMLElement | null>, { always, guess }: NearOptions) {
  const [isNear, setNear] = useState(always || typeof IntersectionObserver === 'undefined')
  const [height, setHeight] = useState(guess)
  const wasNear = useRef(isNear)

  useEffect(() => {
    const element = box.current
    if (element === null || always || typeof IntersectionObserver === 'undefined') return
    const observer = new IntersectionObserver(
      (entries) => {
        const entry = entries.at(-1)
        if (entry === undefined) return
        if (!entry.isIntersecting) setHeight(entry.boundingClientRect.height)
        setNear(entry.isIntersecting)
      },
      { root: scrollerOf(element), rootMargin: MARGIN },
    )
    observer.observe(element)
    return () => observer.disconnect()
  }, [box, always])

  useLayoutEffect(() => {
    const element = box.current
    const hasComeNear = isNear && !wasNear.current
    wasNear.current = isNear
    const scroller = element === null ? null : scrollerOf(element)
    if (!hasComeNear || element === null || scroller === null) return
    const grown = element.offsetHeight - height
    const top = scroller.getBoundingClientRect().top
    // A row that ends above the screen is the list's own matter.
    const row = element.closest('[data-index]')
    const isInView = row === null || row.getBoundingClientRect().bottom > top
    if (isInView && element.getBoundingClientRect().bottom - grown <= top) scroller.scrollTop += grown
  }, [box, isNear, height])

  return { isNear: isNear || always, height }
}

function scrollerOf(element: HTMLElement): HTMLElement | null {
  return element.closest<HTMLElement>('[data-scroller]')
}
