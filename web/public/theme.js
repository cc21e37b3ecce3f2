// Runs before the first paint, so that a chosen theme does not flash over the system's.
;(() => {
  try {
    const theme = localStorage.getItem('talekeeper.theme')
    if (theme === 'paper' || theme === 'night') document.documentElement.dataset.theme = theme
  } catch {
    // Storage may be closed to the page; the system's theme holds.
  }
})()
