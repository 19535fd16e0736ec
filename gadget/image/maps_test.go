// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/fixture"
)

func TestErrorsOfSockMaps(t *testing.T) {
	t.Parallel()
	object := fixture.Compile(t, "sockets").Object
	for yaml, want := range map[string]string{
		"programs: {on_message: {attach_to: sendrs}}": `gadget.yaml: programs.on_message.attach_to: the object has no map "sendrs"; did you mean "senders"?`,
		"programs: {on_verdict: {attach_to: events}}": `gadget.yaml: programs.on_verdict.attach_to: map "events" has the type RingBuf; programs are attached to a SockMap or a SockHash`,
	} {
		_, err := parseObject(object, yaml)
		mustSay(t, err, want)
	}
	img := parse(t, "sockets")
	for _, c := range []struct{ program, mapName, want string }{
		{"on_message", "receivers", `program "on_message" is already meant for the map "senders"`},
		{"on_mesage", "senders", `no program "on_mesage"; did you mean "on_message"?`},
		{"on_mesage", "sender", `no map "sender"; did you mean "senders"?`},
		{"on_sockops", "events", `map "events" has the type RingBuf`},
	} {
		mustSay(t, img.setSockMap(c.program, c.mapName), c.want)
	}
}

func TestNamesOfPins(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]bool{"kept": true, "_x1": true, "": false, "..": false, "a/b": false, "../kept": false, "a.b": false, "a b": false} {
		img := &Image{spec: &ebpf.CollectionSpec{Maps: map[string]*ebpf.MapSpec{name: {Pinning: ebpf.PinByName}}}}
		if err := img.checkPin(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// mustSay fails the test unless the error holds the text.
func mustSay(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want something with %q", err, text)
	}
}
