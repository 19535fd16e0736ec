// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import "github.com/gizmo-ebpf/gizmo/gadget"

// StackLoss counts stacks of one gadget that gizmo cannot show. Their events are not lost.
type StackLoss struct {
	// Gadget is the name of the gadget in the run; empty if it is the only one.
	Gadget string
	gadget.LostStacks
}

// StackLosses returns, for each gadget that has lost stacks, how many. It may be called until Close.
func (r *Run) StackLosses() ([]StackLoss, error) {
	var all []StackLoss
	for i, g := range r.gadgets {
		if g.Stacks() == nil {
			continue
		}
		lost, err := g.Stacks().Lost()
		if err != nil {
			return all, err
		}
		if lost.Total() > 0 {
			all = append(all, StackLoss{r.names[i], lost})
		}
	}
	return all, nil
}
