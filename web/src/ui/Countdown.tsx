import { useEffect, useState } from 'react'

function secondsTo(until: number): number {
  return Math.max(0, Math.ceil((until - Date.now()) / 1000))
}

/** The seconds until a moment, second by second. */
export function Countdown({ until }: { until: number }) {
  const [seconds, setSeconds] = useState(() => secondsTo(until))
  useEffect(() => {
    const tick = () => setSeconds(secondsTo(until))
    tick()
    const timer = setInterval(tick, 250)
    return () => clearInterval(timer)
  }, [until])
  return (
    <span role="timer" className="whitespace-nowrap tabular-nums">
      {seconds} s
    </span>
  )
}
