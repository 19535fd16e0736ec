// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/internal/socketvalue"
)

// SocketsMap is the map of <gadget/sockets-map.h> in which programs look up the owner of a socket.
const SocketsMap = socketvalue.Map

// StandInForSockets makes a gadget load that asks for the owner of a socket, although its caller finds no owners:
// the map stays empty, and has none of the optional members. It returns the types for the programs; nil if
// they do not use the map.
func StandInForSockets(spec *ebpf.CollectionSpec) (*btf.Spec, error) {
	m, ok := spec.Maps[SocketsMap]
	if !ok {
		return nil, nil
	}
	m.ValueSize, m.Value, m.MaxEntries = socketvalue.Size, nil, 1
	return socketvalue.Types(socketvalue.Size)
}
