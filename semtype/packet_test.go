// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
)

func TestPacketType(t *testing.T) {
	t.Parallel()
	s := layout(scalar("d_raw", "gadget_packet_type", event.Uint, 1))
	apply(t, s, testEnv(), annotations{})
	for n, want := range []string{"in", "broadcast", "multicast", "other", "out", ""} {
		if got := text(t, s, "d", []byte{byte(n)}); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

// TestLinkType: the text comes from the trailing data, and its length from the field that says it.
func TestLinkType(t *testing.T) {
	t.Parallel()
	packet := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 7, 0, 53, 0, 8, 0, 0}
	for _, c := range []struct {
		size, rest bool
		want       string
	}{{true, true, "10.0.0.1:7 > 10.0.0.2:53 UDP len 972"}, {false, true, "10.0.0.1:7 > 10.0.0.2:53 UDP len 0"}, {true, false, ""}} {
		fields := []event.Field{scalar("link_raw", "gadget_link_type", event.Uint, 2), scalar("other_size", "__u32", event.Uint, 4)}
		if c.size {
			fields[1].Name = "packet_size"
		}
		s := layout(fields...)
		if c.rest {
			s.Fields = append(s.Fields, event.Field{Name: "payload", Kind: event.Bytes, Rest: true, Off: s.Size, Parent: event.NoParent})
		}
		apply(t, s, testEnv(), annotations{})
		i, ok := s.Lookup("link")
		if ok != c.rest {
			t.Errorf("%+v: added: %v", c, ok)
		}
		if !ok {
			continue
		}
		rec := make([]byte, s.Size)
		binary.LittleEndian.PutUint16(rec, unix.ARPHRD_NONE)
		size, _ := s.Lookup(fields[1].Name)
		binary.LittleEndian.PutUint32(rec[s.Fields[size].Off:], 1000)
		if got := text(t, s, "link", append(rec, packet...)); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
		if s.Fields[i].Reads.Size != 0 {
			t.Error("the text depends on more than the number, and must not be remembered for it")
		}
	}
}
