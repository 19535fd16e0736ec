// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// tap is a network interface whose other end is this process.
type tap struct {
	name   string
	index  int
	netns  uint64 // the network namespace that it is in
	end    int    // what is written there comes in
	socket int    // of the packet family, for packets that go out
}

// newTap makes an interface, which goes with the process.
func newTap() (*tap, error) {
	end, err := workload.OpenTun()
	if err != nil {
		return nil, err
	}
	req, err := unix.NewIfreq("gizmotap%d")
	if err != nil {
		return nil, errors.Join(err, unix.Close(end))
	}
	req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(end, unix.TUNSETIFF, req); err != nil {
		return nil, errors.Join(fmt.Errorf("make an interface: %w", err), unix.Close(end))
	}
	t := &tap{name: req.Name(), end: end, netns: workload.Must(workload.Namespace("/proc/self/ns/net"))}
	// Without IPv6 the kernel sends nothing of its own.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+t.name+"/disable_ipv6", []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(err, unix.Close(end))
	}
	if err := t.up(req); err != nil {
		return nil, errors.Join(err, unix.Close(end))
	}
	return t, nil
}

func (i *tap) up(req *unix.Ifreq) error {
	// Without a protocol the socket receives nothing.
	s, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a packet socket: %w", err)
	}
	if err := setAddress(i.name); err != nil {
		return errors.Join(fmt.Errorf("set the interface's address: %w", err), unix.Close(s))
	}
	req.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, req); err != nil {
		return errors.Join(fmt.Errorf("start the interface: %w", err), unix.Close(s))
	}
	iface, err := net.InterfaceByName(i.name)
	if err != nil {
		return errors.Join(err, unix.Close(s))
	}
	i.index, i.socket = iface.Index, s
	return nil
}

// ownAddress is the interface's, of a network for documentation.
var ownAddress = [4]byte{192, 0, 2, 1}

func setAddress(name string) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		call    uint
		address [4]byte
	}{{unix.SIOCSIFADDR, ownAddress}, {unix.SIOCSIFNETMASK, [4]byte{255, 255, 255, 255}}} {
		if err := req.SetInet4Addr(c.address[:]); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(s, c.call, req); err != nil {
			return err
		}
	}
	return nil
}

// send lets a packet go out.
func (i *tap) send(packet []byte) {
	workload.Check("send", unix.Sendto(i.socket, packet, 0, &unix.SockaddrLinklayer{Ifindex: i.index, Halen: 6}))
}

// receive lets a packet come in.
func (i *tap) receive(packet []byte) {
	workload.Must(unix.Write(i.end, packet))
}

func (i *tap) close() {
	_ = errors.Join(unix.Close(i.socket), unix.Close(i.end))
}
