// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags_test

import (
	"testing"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/internal/cli/flags"
	"github.com/gizmo-ebpf/gizmo/socket"
)

func TestSocketFields(t *testing.T) {
	t.Parallel()
	var f flags.SocketFields
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	f.Register(fs)
	if f.Fields != socket.DefaultFields() {
		t.Errorf("without the flag: %+v", f.Fields)
	}
	if err := fs.Parse([]string{"--socket-enricher-fields", "exepath=64"}); err != nil {
		t.Fatal(err)
	}
	if want := (socket.Fields{Exepath: 64}); f.Fields != want {
		t.Errorf("got %+v, want %+v", f.Fields, want)
	}
	if got := fs.Lookup("socket-enricher-fields").DefValue; got != "cwd=512,exepath=512" {
		t.Errorf("the default is shown as %q", got)
	}
	if err := fs.Parse([]string{"--socket-enricher-fields", "cwd=1"}); err == nil {
		t.Error("a path of 1 byte was accepted")
	}
}
