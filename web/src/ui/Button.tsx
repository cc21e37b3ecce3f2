import type { ComponentProps } from 'react'

type Weight = 'plain' | 'strong' | 'text'

const weights: Record<Weight, string> = {
  plain: 'border border-edge px-3 py-1.5 text-ink hover:border-ink hover:bg-wash',
  strong: 'border border-accent bg-accent px-3.5 py-1.5 font-semibold text-on-accent hover:opacity-90',
  text: 'px-1 py-0.5 text-accent underline decoration-1 underline-offset-3 hover:decoration-2',
}

interface ButtonProps extends ComponentProps<'button'> {
  weight?: Weight
}

export function Button({ weight = 'plain', className = '', type = 'button', ...rest }: ButtonProps) {
  return (
    <button
      type={type}
      className={`inline-flex items-center gap-1.5 whitespace-nowrap rounded-corner text-label leading-snug disabled:opacity-55 ${weights[weight]} ${className}`}
      {...rest}
    />
  )
}
