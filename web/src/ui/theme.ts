import { keep, useKept } from './kept'

export type Theme = 'system' | 'paper' | 'night'

export function useTheme(): Theme {
  const theme = useKept('theme')
  return theme === 'paper' || theme === 'night' ? theme : 'system'
}

export function chooseTheme(theme: Theme): void {
  keep('theme', theme === 'system' ? null : theme)
  if (theme === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}
