import { Component, type ReactNode } from 'react'

interface BoundaryProps {
  /** What the children are made of: a new value is drawn again. */
  of: unknown
  fallback: (error: unknown) => ReactNode
  children: ReactNode
}

interface BoundaryState {
  error: unknown
  hasFailed: boolean
  of: unknown
}

/** Draws `fallback` in place of children that cannot be drawn; all around them stays. */
export class Boundary extends Component<BoundaryProps, BoundaryState> {
  override state: BoundaryState = { error: null, hasFailed: false, of: this.props.of }

  static getDerivedStateFromError(error: unknown): Partial<BoundaryState> {
    return { error, hasFailed: true }
  }

  static getDerivedStateFromProps(
    { of }: BoundaryProps,
    state: BoundaryState,
  ): Partial<BoundaryState> | null {
    return Object.is(of, state.of) ? null : { error: null, hasFailed: false, of }
  }

  override render(): ReactNode {
    return this.state.hasFailed ? this.props.fallback(this.state.error) : this.props.children
  }
}
