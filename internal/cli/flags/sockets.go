// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/socket"
)

// SocketFields is the flag for what may be kept about the owners of sockets.
type SocketFields struct{ socket.Fields }

// Register adds the flag.
func (f *SocketFields) Register(fs *pflag.FlagSet) {
	f.Fields = socket.DefaultFields()
	fs.Var(f, "socket-enricher-fields",
		fmt.Sprintf("paths that may be kept for each socket, if the gadget reads them, and for how many bytes, up to %d: cwd,exepath or none", socket.MaxPath))
}

// Set implements pflag.Value.
func (f *SocketFields) Set(text string) (err error) {
	f.Fields, err = socket.ParseFields(text)
	return err
}

// String implements pflag.Value.
func (f *SocketFields) String() string { return f.Fields.String() }

// Type implements pflag.Value.
func (*SocketFields) Type() string { return "string" }
