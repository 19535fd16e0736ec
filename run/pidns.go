// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"encoding/binary"
	"errors"
	"maps"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/host/pidns"
)

// numberParams are the variables of <gadget/filter.h> that hold the id of a process or thread.
var numberParams = [...]string{"targ_pid", "targ_tid"}

// kernelNumbers returns the values of params with the host's ids of processes and threads, which BPF programs see,
// in place of the ids in gizmo's own pid namespace, which the user sees.
func (p *Plan) kernelNumbers(values map[string]image.Value) (map[string]image.Value, error) {
	ns, err := pidns.Own()
	if err != nil {
		p.options.logger().Debug("cannot find out the pid namespace: gizmo takes the given process ids for those of the host", "error", err)
		return values, nil
	}
	if ns.IsInitial() {
		return values, nil
	}
	p.options.logger().Warn("gizmo runs in a pid namespace: the events have the host's process and thread ids")
	values = maps.Clone(values)
	var errs []error
	for _, variable := range numberParams {
		v, given := values[variable]
		if !given || len(v) != 4 {
			continue
		}
		number, err := ns.Thread(binary.LittleEndian.Uint32(v))
		errs = append(errs, err)
		values[variable] = binary.LittleEndian.AppendUint32(nil, number)
	}
	return values, errors.Join(errs...)
}
