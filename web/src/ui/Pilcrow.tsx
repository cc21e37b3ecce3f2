/** The mark with which scribes began a new thought. */
export function Pilcrow({ className = '' }: { className?: string }) {
  return (
    <svg
      viewBox="0 0 16 20"
      className={`inline-block w-auto text-accent ${className}`}
      aria-hidden="true"
      focusable="false"
    >
      <path
        fill="currentColor"
        d="M15.5 0v1.5h-1.7V20h-1.7V1.5H9.2V20H7.5v-9.6C3.2 10.4.5 8.3.5 5.1.5 1.9 3.2 0 7.3 0z"
      />
    </svg>
  )
}
