// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"io"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/hook"
)

// RunIterator runs an iterator ("iter/NAME") that no data source runs, once: the kernel calls the program for each of its objects.
// What the program writes is dropped. An iterator that shows one network namespace shows that of the caller.
func (g *Gadget) RunIterator(program string) (err error) {
	for _, p := range g.programs {
		if p.Name != program {
			continue
		}
		if hook.IsAttachable(p) {
			return fmt.Errorf("program %s is no iterator", program)
		}
		iter, err := hook.Iterate(g.loaded, p, g.coll.Programs[p.Name])
		if err != nil {
			return fmt.Errorf("program %s: %w", program, err)
		}
		defer iter.Close()
		objects, err := iter.Open()
		if err != nil {
			return fmt.Errorf("program %s: %w", program, err)
		}
		_, err = io.Copy(io.Discard, objects)
		return errors.Join(err, objects.Close())
	}
	return noProgram(g.names, program)
}
