import { chooseTheme, type Theme, useTheme } from '../ui/theme'

const themes: ReadonlyArray<{ value: Theme; title: string; note: string }> = [
  { value: 'system', title: 'As the system', note: 'paper by day, night by night' },
  { value: 'paper', title: 'Paper', note: 'warm white and ink' },
  { value: 'night', title: 'Night', note: 'for a dim table' },
]

export function ThemeChoice() {
  const theme = useTheme()
  return (
    <fieldset>
      <legend className="mb-3 font-tale text-title">Paper or night</legend>
      {themes.map(({ value, title, note }) => (
        <label key={value} className="flex items-baseline gap-3 py-1">
          <input
            type="radio"
            name="theme"
            className="accent-accent"
            checked={theme === value}
            onChange={() => chooseTheme(value)}
          />
          <span>
            {title} <span className="text-faint">· {note}</span>
          </span>
        </label>
      ))}
    </fieldset>
  )
}
