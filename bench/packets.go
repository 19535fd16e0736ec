// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// packetTitle is the title of the table about packets.
const packetTitle = "packets: a filter that passes none of them"

const (
	// packetInterface is on this host, packetPeer in the namespace of the sender.
	packetInterface, packetPeer = "gzbench", "peer"

	captureBegins = time.Second // nothing shows it: the packet that passes the filter does at the end
)

// capture is a row of tools.yaml, which explains the keys.
type capture struct {
	Name    string   `yaml:"name"`
	Command []string `yaml:"command"`
	Shown   pattern  `yaml:"shown"`
}

// flow holds the figures of one round of packets.
type flow struct {
	usage
	perPacket float64 // ns, for the sender
	more      float64 // of that, ns more than untraced
}

// sender is a program in a network namespace of its own that sends packets to this host. With its end the namespace goes,
// and with that the interface. It ends with bench, however that ends.
type sender struct {
	cmd   *exec.Cmd
	input io.WriteCloser
	out   *bufio.Reader
}

func (m *machine) newSender() (s *sender, err error) {
	s = &sender{cmd: program([]string{m.loader, "packets", "-iface", packetPeer, "-cpus", "0"})}
	s.cmd.Stderr = os.Stderr
	s.cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWNET
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewReader(out)
	if s.input, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: packetInterface},
		PeerName:  packetPeer, PeerNamespace: netlink.NsPid(s.cmd.Process.Pid),
	}
	if err := errors.Join(netlink.LinkAdd(veth), netlink.LinkSetUp(veth)); err != nil {
		return nil, errors.Join(fmt.Errorf("make the interface %s: %w", packetInterface, err), s.close())
	}
	return s, nil
}

func (s *sender) close() error { return errors.Join(s.input.Close(), s.cmd.Wait()) }

// send has the sender send packets, sees that they arrive, and returns the nanoseconds that each took: with the way to the interface
// and what happens there, which is on the sender's CPU.
func (s *sender) send(kind string, count int) (ns float64, err error) {
	before, err := arrived()
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintln(s.input, kind, count); err != nil {
		return 0, err
	}
	if _, err := fmt.Fscan(s.out, &ns); err != nil {
		return 0, fmt.Errorf("sender of packets: %w", err)
	}
	after, err := arrived()
	if n := after - before; err == nil && n < uint64(count) {
		err = fmt.Errorf("only %d of %d packets arrived", n, count)
	}
	return ns, err
}

// arrived returns how many packets have come to the interface.
func arrived() (uint64, error) {
	link, err := netlink.LinkByName(packetInterface)
	if err != nil {
		return 0, fmt.Errorf("interface %s: %w", packetInterface, err)
	}
	return link.Attrs().Statistics.RxPackets, nil
}

// compareCaptures measures the sender without and with each of the programs, in turn, and prints a table.
func compareCaptures(w io.Writer, m *machine, captures []capture, o *options) (err error) {
	s, err := m.newSender()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	rows := []row[flow]{{name: "untraced"}}
	var taking []*capture
	for i := range captures {
		c := &captures[i]
		if _, err := exec.LookPath(c.Command[0]); err != nil {
			fmt.Fprintf(w, "(%s is left out: %v)\n", c.Name, err)
		} else if matches(c.Name, o.tools) {
			taking, rows = append(taking, c), append(rows, row[flow]{name: c.Name})
		}
	}
	for range o.rounds {
		untraced, err := s.send("udp", o.count)
		if err != nil {
			return err
		}
		rows[0].results = append(rows[0].results, flow{
			usage: usage{cpu: math.NaN(), peak: math.NaN()}, perPacket: untraced, more: math.NaN(),
		})
		for i, c := range taking {
			f, err := s.measure(c, o.count)
			if err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
			f.more = f.perPacket - untraced
			rows[i+1].results = append(rows[i+1].results, f)
		}
	}
	fmt.Fprintf(w, "\n### %s\n\n%d packets in a round.\n\n", packetTitle, o.count)
	printTable(w, flowColumns(), rows)
	return nil
}

// measure sends packets while a program captures, and one that passes its filter: that one shows that it did.
func (s *sender) measure(c *capture, count int) (f flow, err error) {
	fill := strings.NewReplacer("IFACE", packetInterface)
	args := append([]string{"taskset", "-c", "1"}, filled(c.Command, fill)...)
	t, err := startTracer(args, nil, nil, func(int) bool {
		time.Sleep(captureBegins)
		return true
	})
	if err != nil {
		return f, err
	}
	defer t.kill()
	if f.perPacket, err = s.send("udp", count); err != nil {
		return f, err
	}
	if _, err := s.send("tcp", 1); err != nil {
		return f, err
	}
	time.Sleep(100 * time.Millisecond) // it may hold the packet for a while
	if f.usage, err = t.stop(); err != nil {
		return f, err
	}
	if shown, _ := c.Shown.sum(t.errs.Bytes()); shown != 1 {
		return f, fmt.Errorf("it shows %d packets, want 1:\n%s", shown, t.errs.String())
	}
	return f, nil
}

func flowColumns() []column[flow] {
	return []column[flow]{
		{"packets / s", func(f *flow) float64 { return 1e9 / f.perPacket }, thousand, false},
		{"ns a packet", func(f *flow) float64 { return f.perPacket }, number, false},
		{"more than untraced", func(f *flow) float64 { return f.more }, signed, false},
		{"CPU-s of the program", func(f *flow) float64 { return f.cpu }, two, false},
		{"peak MiB", func(f *flow) float64 { return f.peak }, number, false},
	}
}
