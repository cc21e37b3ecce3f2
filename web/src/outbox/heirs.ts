/** Under which message one hangs whose parent is gone: discarded, refused, or answered meanwhile. */
export class Heirs {
  private readonly heirs = new Map<string, string | null>()

  /** What hung under `id` hangs under `heir`. */
  set(id: string, heir: string | null): void {
    this.heirs.set(id, heir)
  }

  of(parentId: string | null): string | null {
    let id = parentId
    for (let steps = 0; id !== null && steps <= this.heirs.size; steps++) {
      const heir = this.heirs.get(id)
      if (heir === undefined || heir === id) return id
      id = heir
    }
    return id
  }
}
