/** A printer's flower between two rules: where something begins. */
export function Fleuron({ className = '' }: { className?: string }) {
  return (
    <svg
      viewBox="0 0 120 16"
      className={`h-4 w-30 text-faint ${className}`}
      aria-hidden="true"
      focusable="false"
    >
      <g fill="none" stroke="currentColor" strokeWidth="1">
        <path d="M0 8h44M76 8h44" />
        <path
          className="text-accent"
          stroke="currentColor"
          d="M60 3c3.500 2 3.500 8 0 10-3.500-2-3.500-8 0-10z"
        />
        <path d="M57 8c-2-3-6-3-7 0 1 3 5 3 7 0zM63 8c2-3 6-3 7 0-1 3-5 3-7 0z" />
      </g>
    </svg>
  )
}
