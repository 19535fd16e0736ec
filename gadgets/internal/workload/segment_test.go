// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// A segment as it is on the wire. Its checksum is worked out by hand.
func TestSegmentBytes(t *testing.T) {
	t.Parallel()
	s := Segment{From: 1000, To: 2000, Seq: 1, Ack: 2, Flags: SYN | ACK, Options: []byte{1, 1, 1, 0}, Data: "odd"}
	want := "03e807d0" + "00000001" + "00000002" + "6012" + "0400" + "bca8" + "0000" + "01010100" + "6f6464"
	if got := hex.EncodeToString(s.bytes()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	good := s.bytes()
	s.Broken = true
	if bytes.Equal(good, s.bytes()) {
		t.Error("a broken segment is as good as another")
	}
}

// A socket answers a segment that it gets, and none that is broken or that it refuses.
func TestSend(t *testing.T) {
	t.Parallel()
	kerneltest.RequireRoot(t)
	n := Must(NewNetwork())
	_, err := OnThread("segments", func(*Thread[int]) error {
		Check("enter", n.Enter())
		fd := Must(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
		defer unix.Close(fd)
		Check("bind", unix.Bind(fd, &unix.SockaddrInet4{Addr: loopback, Port: 99}))
		Check("listen", unix.Listen(fd, 1))
		tap := Must(unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_TCP))
		defer unix.Close(tap)
		syn := Segment{From: 98, To: 99, Flags: SYN}
		broken := syn
		broken.Broken = true
		Check("refuse", RefusePackets(fd))
		Check("send", Send(syn))
		Check("take", TakePackets(fd))
		Check("send", Send(broken))
		if n := answers(tap); n != 0 {
			t.Errorf("%d answers to packets that the socket does not take", n)
		}
		Check("send", Send(syn))
		if n := answers(tap); n != 1 {
			t.Errorf("%d answers, want one", n)
		}
		return nil
	})()
	if err != nil {
		t.Error(err)
	}
}

// answers counts the packets that port 98 has got from port 99.
func answers(tap int) (n int) {
	for wait := 200; ; wait = 0 {
		p := []unix.PollFd{{Fd: int32(tap), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, wait); err != nil && !errors.Is(err, unix.EINTR) {
			Check("wait", err)
		}
		b := make([]byte, 100)
		size, _, err := unix.Recvfrom(tap, b, 0)
		if errors.Is(err, unix.EAGAIN) {
			return n
		}
		Check("receive", err)
		if size >= 40 && b[21] == 99 && b[23] == 98 && b[33] == SYN|ACK {
			n++
		}
	}
}
