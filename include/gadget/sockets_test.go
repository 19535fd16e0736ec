// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

package gadget_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// socketKey is struct gadget_socket_key.
type socketKey struct {
	Netns  uint32
	Family uint16
	Proto  uint8
	_      uint8
	Port   uint16
	_      uint16
}

// socketOwner is the beginning of struct gadget_socket_value.
type socketOwner struct {
	Mntns, PidTgid, UIDGID uint64
	Task, Ptask            [16]byte
	Sock, Deletion         uint64
	PPID, PTID             uint32
	IPv6Only               bool
	_                      [7]byte
}

// optional are the sizes of the members that the loader may leave out, with 0.
type optional struct{ cwd, exepath uint32 }

const ownerSize = 88

// valueType describes the value as the loader lays it out, with the optional members in an order of
// its own.
func (o optional) valueType(t *testing.T) (*btf.Spec, uint32) {
	t.Helper()
	u64 := &btf.Int{Name: "unsigned long long", Size: 8}
	u32 := &btf.Int{Name: "unsigned int", Size: 4}
	char := &btf.Int{Name: "char", Size: 1, Encoding: btf.Signed}
	chars := func(n uint32) btf.Type { return &btf.Array{Index: u32, Type: char, Nelems: n} }
	value := &btf.Struct{Name: "gadget_socket_value"}
	at := uint32(0)
	add := func(name string, typ btf.Type, size uint32) {
		value.Members = append(value.Members, btf.Member{Name: name, Type: typ, Offset: btf.Bits(at) * 8})
		at += size
	}
	add("mntns", u64, 8)
	add("pid_tgid", u64, 8)
	add("uid_gid", u64, 8)
	add("task", chars(16), 16)
	add("ptask", chars(16), 16)
	add("sock", u64, 8)
	add("deletion_timestamp", u64, 8)
	add("ppid", u32, 4)
	add("ptid", u32, 4)
	add("ipv6only", char, 8)
	if o.exepath > 0 {
		add("exepath", chars(o.exepath), o.exepath)
	}
	if o.cwd > 0 {
		add("cwd", chars(o.cwd), o.cwd)
	}
	value.Size = at
	builder, err := btf.NewBuilder([]btf.Type{value}, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := builder.Spec()
	if err != nil {
		t.Fatal(err)
	}
	return spec, at
}

func (o optional) value(t *testing.T, owner socketOwner, cwd, exepath string) []byte {
	t.Helper()
	b, err := binary.Append(nil, binary.LittleEndian, owner)
	if err != nil || len(b) != ownerSize {
		t.Fatal(len(b), err)
	}
	b = append(b, make([]byte, o.exepath+o.cwd)...)
	copy(b[ownerSize:], exepath)
	if o.cwd > 0 {
		copy(b[ownerSize+o.exepath:], cwd)
	}
	return b
}

// loadSockets does what the loader does: it replaces the gadget's map by another, and passes the
// layout of its values to CO-RE.
func loadSockets(t *testing.T, object string, o optional, programs ...string) *ebpf.Collection {
	t.Helper()
	spec := parse(t, object)
	for name := range spec.Programs {
		if !slices.Contains(programs, name) {
			delete(spec.Programs, name)
		}
	}
	types, size := o.valueType(t)
	sockets := spec.Maps["gadget_sockets"]
	if sockets.KeySize != uint32(binary.Size(socketKey{})) || sockets.Type != ebpf.Hash || sockets.MaxEntries != 16384 {
		t.Errorf("unexpected map: %v", sockets)
	}
	sockets.ValueSize, sockets.MaxEntries, sockets.Value = size, 64, nil
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{ExtraRelocationTargets: []*btf.Spec{types}},
	})
	if err != nil {
		t.Fatal("loading: ", verbose(err))
	}
	t.Cleanup(coll.Close)
	return coll
}

// packetOwner is struct owner of testdata/sockets.bpf.c.
type packetOwner struct {
	Seen    uint64
	Process process
	Cwd     [64]byte
	Exepath [64]byte
}

// runPacket runs a tc program on a packet in the network namespace.
func runPacket(t *testing.T, prog *ebpf.Program, netns uint32, packet []byte) uint32 {
	t.Helper()
	ctx := make([]byte, 192)
	binary.LittleEndian.PutUint32(ctx[48:], netns) // cb[0]
	ret, err := prog.Run(&ebpf.RunOptions{Data: packet, Context: ctx})
	if err != nil {
		t.Fatal("running", prog, err)
	}
	return ret
}

// layer makes a packet, from the outside to the inside.
type layer []byte

func ethernet(kind uint16) layer {
	return binary.BigEndian.AppendUint16(make([]byte, 12), kind)
}

// ipv4 returns a header with the given number of words of options, and the given fragment field.
func ipv4(proto byte, options int, fragment uint16) layer {
	h := make([]byte, 20+4*options)
	h[0], h[9] = 0x40|byte(5+options), proto
	binary.BigEndian.PutUint16(h[6:], fragment)
	return h
}

func ipv6(next byte) layer {
	h := make([]byte, 40)
	h[0], h[6] = 0x60, next
	return h
}

// extension returns a header whose length field counts words of 8 bytes after the first.
func extension(next byte, words int) layer {
	h := make([]byte, 8+8*words)
	h[0], h[1] = next, byte(words)
	return h
}

func fragment(next byte, offset uint16, more byte) layer {
	h := make([]byte, 8)
	h[0] = next
	binary.BigEndian.PutUint16(h[2:], offset<<3|uint16(more))
	return h
}

// auth returns a header whose length field counts words of 4 bytes, minus two.
func auth(next byte, words int) layer {
	h := make([]byte, 4*(words+2))
	h[0], h[1] = next, byte(words)
	return h
}

func ports(from, to uint16) layer {
	h := binary.BigEndian.AppendUint16(nil, from)
	return append(binary.BigEndian.AppendUint16(h, to), make([]byte, 16)...)
}

func packet(layers ...layer) (p []byte) {
	for _, l := range layers {
		p = append(p, l...)
	}
	return p
}

const (
	ip4, ip6         = 0x0800, 0x86dd
	tcp, udp         = unix.IPPROTO_TCP, unix.IPPROTO_UDP
	hop, route, dest = 0, 43, 60
	frag, ah         = 44, 51
	localPort        = 8080
	peerPort         = 40000
	testNetns        = 4026531840
)

var owned = socketOwner{
	Mntns: 4026531841, PidTgid: 100<<32 | 101, UIDGID: 2000<<32 | 1000, Task: cstring("server"), Ptask: cstring("shell"),
	PPID: 50, PTID: 51,
}

func TestSocketOfPacket(t *testing.T) {
	requireKernel(t)
	sent := ports(localPort, peerPort)
	tests := []struct {
		name   string
		packet []byte
		key    socketKey // of the socket that there is
		known  bool
	}{
		{"tcp", packet(ethernet(ip4), ipv4(tcp, 0, 0), sent), socketKey{Family: unix.AF_INET, Proto: tcp}, true},
		{"udp", packet(ethernet(ip4), ipv4(udp, 0, 0), sent), socketKey{Family: unix.AF_INET, Proto: udp}, true},
		{"other protocol", packet(ethernet(ip4), ipv4(udp, 0, 0), sent), socketKey{Family: unix.AF_INET, Proto: tcp}, false},
		{"neither", packet(ethernet(ip4), ipv4(unix.IPPROTO_ICMP, 0, 0), sent), socketKey{Family: unix.AF_INET, Proto: unix.IPPROTO_ICMP}, false},
		{"options", packet(ethernet(ip4), ipv4(tcp, 10, 0), sent), socketKey{Family: unix.AF_INET, Proto: tcp}, true},
		{"must not be fragmented", packet(ethernet(ip4), ipv4(udp, 0, 0x4000), sent), socketKey{Family: unix.AF_INET, Proto: udp}, true},
		{"first fragment", packet(ethernet(ip4), ipv4(udp, 0, 0x2000), sent), socketKey{Family: unix.AF_INET, Proto: udp}, true},
		{"second fragment", packet(ethernet(ip4), ipv4(udp, 0, 0x2001), sent), socketKey{Family: unix.AF_INET, Proto: udp}, false},
		{"late fragment", packet(ethernet(ip4), ipv4(udp, 0, 0x1f00), sent), socketKey{Family: unix.AF_INET, Proto: udp}, false},
		{"dual stack", packet(ethernet(ip4), ipv4(tcp, 0, 0), sent), socketKey{Family: unix.AF_INET6, Proto: tcp}, true},
		{"IPv6", packet(ethernet(ip6), ipv6(tcp), sent), socketKey{Family: unix.AF_INET6, Proto: tcp}, true},
		{"IPv6 to IPv4", packet(ethernet(ip6), ipv6(tcp), sent), socketKey{Family: unix.AF_INET, Proto: tcp}, false},
		{"IPv6, options", packet(ethernet(ip6), ipv6(hop), extension(dest, 2), extension(route, 0), extension(udp, 3), sent), socketKey{Family: unix.AF_INET6, Proto: udp}, true},
		{"IPv6, authenticated", packet(ethernet(ip6), ipv6(ah), auth(tcp, 4), sent), socketKey{Family: unix.AF_INET6, Proto: tcp}, true},
		{"IPv6, first fragment", packet(ethernet(ip6), ipv6(frag), fragment(udp, 0, 1), sent), socketKey{Family: unix.AF_INET6, Proto: udp}, true},
		{"IPv6, second fragment", packet(ethernet(ip6), ipv6(frag), fragment(udp, 1, 0), sent), socketKey{Family: unix.AF_INET6, Proto: udp}, false},
		{"IPv6, nothing more", packet(ethernet(ip6), ipv6(59), sent), socketKey{Family: unix.AF_INET6, Proto: 59}, false},
		{"IPv6, too many", packet(ethernet(ip6), ipv6(dest), extension(dest, 0), extension(dest, 0), extension(dest, 0), extension(dest, 0), extension(dest, 0), extension(dest, 0), extension(tcp, 0), sent), socketKey{Family: unix.AF_INET6, Proto: tcp}, false},
		{"other network namespace", packet(ethernet(ip4), ipv4(tcp, 0, 0), sent), socketKey{Netns: 1, Family: unix.AF_INET, Proto: tcp}, false},
		{"other port", packet(ethernet(ip4), ipv4(tcp, 0, 0), sent), socketKey{Port: 80, Family: unix.AF_INET, Proto: tcp}, false},
		{"cut off", packet(ethernet(ip4), ipv4(tcp, 0, 0), sent[:1]), socketKey{Family: unix.AF_INET, Proto: tcp}, false},
		{"ARP", packet(ethernet(0x0806), sent, sent), socketKey{Family: unix.AF_INET, Proto: tcp}, false},
	}
	o := optional{cwd: 40, exepath: 4096}
	coll := loadSockets(t, "sockets", o, "in", "out")
	sockets := coll.Maps["gadget_sockets"]
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key := tt.key
			if key.Netns == 0 {
				key.Netns = testNetns
			}
			if key.Port == 0 {
				key.Port = localPort
			}
			if err := sockets.Put(key, o.value(t, owned, "/srv", "/bin/server")); err != nil {
				t.Fatal(err)
			}
			defer sockets.Delete(key)
			checkOwner(t, coll, "out", tt.packet, tt.known)
			// The opposite direction: the local port is now the destination.
			turned := bytes.Replace(tt.packet, ports(localPort, peerPort)[:4], ports(peerPort, localPort)[:4], 1)
			if len(turned) >= len(packet(ethernet(ip4), ipv4(tcp, 0, 0), sent)) {
				checkOwner(t, coll, "in", turned, tt.known)
				checkOwner(t, coll, "out", turned, false)
			}
		})
	}
}

func checkOwner(t *testing.T, coll *ebpf.Collection, prog string, packet []byte, known bool) {
	t.Helper()
	got := runPacket(t, coll.Programs[prog], testNetns, packet)
	if got == 1 != known {
		t.Errorf("%s: known is %d, want %v", prog, got, known)
	}
	var o packetOwner
	if err := coll.Maps["owner"].Lookup(uint32(0), &o); err != nil {
		t.Fatal(err)
	}
	var want process // all zero if it isn't known
	var cwd, exepath string
	if known {
		want = process{
			Comm: owned.Task, PID: 100, TID: 101, MntnsID: owned.Mntns, UID: 1000, GID: 2000,
			ParentComm: owned.Ptask, ParentPID: 50, ParentTID: 51,
		}
		cwd, exepath = "/srv", "/bin/server"
	}
	if o.Process != want || cut(o.Cwd[:]) != cwd || cut(o.Exepath[:]) != exepath {
		t.Errorf("%s: got %+v", prog, o)
	}
}

func cut(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	return string(text)
}

// A socket for IPv6 only has no packets of IPv4.
func TestSocketIPv6Only(t *testing.T) {
	requireKernel(t)
	var o optional
	coll := loadSockets(t, "sockets", o, "out")
	only := owned
	only.IPv6Only = true
	key := socketKey{Netns: testNetns, Family: unix.AF_INET6, Proto: tcp, Port: localPort}
	if err := coll.Maps["gadget_sockets"].Put(key, o.value(t, only, "", "")); err != nil {
		t.Fatal(err)
	}
	for kind, ip := range map[uint16]layer{ip4: ipv4(tcp, 0, 0), ip6: ipv6(tcp)} {
		got := runPacket(t, coll.Programs["out"], testNetns, packet(ethernet(kind), ip, ports(localPort, peerPort)))
		if got == 1 != (kind == ip6) {
			t.Errorf("%#x: known is %d", kind, got)
		}
	}
}

// The optional members are there or not, and as long as the loader says.
func TestSocketOptionalMembers(t *testing.T) {
	requireKernel(t)
	long := "/" + strings.Repeat("x", 20)
	for _, o := range []optional{{}, {cwd: 8}, {exepath: 4096}, {cwd: 4096, exepath: 16}, {cwd: 64, exepath: 64}} {
		coll := loadSockets(t, "sockets", o, "out")
		key := socketKey{Netns: testNetns, Family: unix.AF_INET, Proto: tcp, Port: localPort}
		if err := coll.Maps["gadget_sockets"].Put(key, o.value(t, owned, long[:min(int(o.cwd), len(long))], long[:min(int(o.exepath), len(long))])); err != nil {
			t.Fatal(err)
		}
		runPacket(t, coll.Programs["out"], testNetns, packet(ethernet(ip4), ipv4(tcp, 0, 0), ports(localPort, peerPort)))
		var got packetOwner
		if err := coll.Maps["owner"].Lookup(uint32(0), &got); err != nil {
			t.Fatal(err)
		}
		fits := func(size uint32) string { return long[:min(int(max(size, 1))-1, len(long))] }
		if cwd, exe := cut(got.Cwd[:]), cut(got.Exepath[:]); cwd != fits(o.cwd) || exe != fits(o.exepath) {
			t.Errorf("%+v: %q and %q", o, cwd, exe)
		}
	}
}

// On a real socket: the filter sees a packet over lo once outgoing and once incoming.
func TestSocketFilter(t *testing.T) {
	requireKernel(t)
	var o optional
	coll := loadSockets(t, "sockets", o, "on_socket")
	onOwnThread(func() {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		lo := up(t, "lo")
		raw, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(raw)
		if err := unix.SetsockoptInt(raw, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, coll.Programs["on_socket"].FD()); err != nil {
			t.Error(err)
			return
		}
		all := uint16(unix.ETH_P_ALL)<<8 | uint16(unix.ETH_P_ALL)>>8
		if err := unix.Bind(raw, &unix.SockaddrLinklayer{Ifindex: lo, Protocol: all}); err != nil {
			t.Error(err)
			return
		}
		// Only what port 1000 sends or gets has an owner. Usually the loader's code sets cb[0]; here it stays 0.
		key := socketKey{Family: unix.AF_INET, Proto: udp, Port: 1000}
		if err := coll.Maps["gadget_sockets"].Put(key, o.value(t, owned, "", "")); err != nil {
			t.Error(err)
			return
		}
		sendTo(t, 1000, 2000)
		sendTo(t, 2000, 1000)
		sendTo(t, 2000, 1000)
	})
	// [out][known]: 1000 → 2000 is known when it goes out; 2000 → 1000 when it comes in.
	if got, want := get[[2][2]uint64](t, coll, "packets"), [2][2]uint64{{1, 2}, {2, 1}}; got != want {
		t.Errorf("packets %v, want %v", got, want)
	}
}

// up takes an interface of the present thread's network namespace up and returns its number.
func up(t *testing.T, name string) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	request.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
		t.Fatal(err)
	}
	return int(request.Uint32())
}

// sendTo sends a datagram over lo, and sees to it that it has arrived.
func sendTo(t *testing.T, from, to int) {
	t.Helper()
	local := [4]byte{127, 0, 0, 1}
	var fds [2]int
	for i, port := range []int{from, to} {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: local, Port: port}); err != nil {
			t.Fatal(err)
		}
		fds[i] = fd
	}
	if err := unix.Sendto(fds[0], []byte("x"), 0, &unix.SockaddrInet4{Addr: local, Port: to}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := unix.Recvfrom(fds[1], make([]byte, 8), 0); err != nil {
		t.Fatal(err)
	}
}

// The socket itself, in a program that traces.
func TestSocketOfSock(t *testing.T) {
	requireKernel(t)
	var o optional
	coll := loadSockets(t, "socks", o, "owner")
	sockets := coll.Maps["gadget_sockets"]
	networks := map[string]socketKey{
		"tcp4": {Family: unix.AF_INET, Proto: tcp}, "tcp6": {Family: unix.AF_INET6, Proto: tcp},
		"udp4": {Family: unix.AF_INET, Proto: udp}, "udp6": {Family: unix.AF_INET6, Proto: udp},
	}
	for network, key := range networks {
		address := "127.0.0.1:0"
		if strings.HasSuffix(network, "6") {
			address = "[::1]:0"
		}
		fd, port, done := bound(t, network, address)
		defer done()
		key.Netns, key.Port = 7, port
		if err := sockets.Put(key, o.value(t, owned, "", "")); err != nil {
			t.Fatal(err)
		}
		if got := run(t, coll.Programs["owner"], uint64(fd), 7); got != 100 {
			t.Errorf("%s: owner %d, want 100", network, got)
		}
		if got := run(t, coll.Programs["owner"], uint64(fd), 8); got != 0 {
			t.Errorf("%s: owner %d in another network namespace", network, got)
		}
		sockets.Delete(key)
		if got := run(t, coll.Programs["owner"], uint64(fd), 7); got != 0 {
			t.Errorf("%s: owner %d though there is none", network, got)
		}
	}
	// A socket of neither.
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if got := run(t, coll.Programs["owner"], uint64(fd), 7); got != 0 {
		t.Errorf("unix: owner %d", got)
	}
}

// bound opens a socket that has a port.
func bound(t *testing.T, network, address string) (fd int, port uint16, done func()) {
	t.Helper()
	var file *os.File
	var local net.Addr
	if strings.HasPrefix(network, "tcp") {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if file, err = l.(*net.TCPListener).File(); err != nil {
			t.Fatal(err)
		}
		local = l.Addr()
	} else {
		l, err := net.ListenPacket(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if file, err = l.(*net.UDPConn).File(); err != nil {
			t.Fatal(err)
		}
		local = l.LocalAddr()
	}
	if _, err := fmt.Sscan(local.String()[strings.LastIndex(local.String(), ":")+1:], &port); err != nil {
		t.Fatal(err)
	}
	return int(file.Fd()), port, func() { file.Close() }
}

// replaceFilter does what the loader does with an expression: it replaces the code of the
// function.
func replaceFilter(t *testing.T, spec *ebpf.ProgramSpec, function string, code asm.Instructions) {
	t.Helper()
	start := slices.IndexFunc(spec.Instructions, func(i asm.Instruction) bool { return i.Symbol() == function })
	if start < 0 {
		t.Fatalf("%s is not called by %s", function, spec.Name)
	}
	end := start + 1
	for end < len(spec.Instructions) && spec.Instructions[end].Symbol() == "" {
		end++
	}
	first := spec.Instructions[start]
	code[0] = code[0].WithMetadata(first.Metadata)
	spec.Instructions = slices.Concat(spec.Instructions[:start], code, spec.Instructions[end:])
}

// firstByteIs is a filter as a compiler of expressions might make it: in R4 and R5 are the bounds.
func firstByteIs(b int32) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R0, 0),
		asm.Mov.Reg(asm.R1, asm.R4),
		asm.Add.Imm(asm.R1, 1),
		asm.JGT.Reg(asm.R1, asm.R5, "no"),
		asm.LoadMem(asm.R2, asm.R4, 0, asm.Byte),
		asm.JNE.Imm(asm.R2, b, "no"),
		asm.Mov.Imm(asm.R0, 1),
		asm.Return().WithSymbol("no"),
	}
}

func TestPacketFilter(t *testing.T) {
	requireKernel(t)
	yes, no := ethernet(ip4), ethernet(ip4)
	yes[0], no[0] = 0x42, 0x43
	for program, function := range map[string]string{"filtered": "gadget_pf_", "filtered_other": "gadget_pf_other"} {
		spec := parse(t, "sockets")
		checkFilterFunction(t, spec, function)
		spec.Programs = map[string]*ebpf.ProgramSpec{program: spec.Programs[program]}
		spec.Maps["gadget_sockets"].MaxEntries = 1
		as := load(t, spec.Copy(), nil)
		for _, p := range []layer{yes, no} {
			if runPacket(t, as.Programs[program], 0, packet(p, make(layer, 60))) == 0 {
				t.Errorf("%s: as it is, it does not let all pass", function)
			}
		}
		replaceFilter(t, spec.Programs[program], function, firstByteIs(0x42))
		replaced := load(t, spec, nil)
		if runPacket(t, replaced.Programs[program], 0, packet(yes, make(layer, 60))) == 0 {
			t.Errorf("%s: what matches does not pass", function)
		}
		if runPacket(t, replaced.Programs[program], 0, packet(no, make(layer, 60))) != 0 {
			t.Errorf("%s: what does not match passes", function)
		}
	}
}

// The loader finds the function, with all five arguments, in BTF.
func checkFilterFunction(t *testing.T, spec *ebpf.CollectionSpec, name string) {
	t.Helper()
	var f *btf.Func
	if err := spec.Types.TypeByName(name, &f); err != nil {
		t.Fatal(err)
	}
	if proto := f.Type.(*btf.FuncProto); len(proto.Params) != 5 {
		t.Errorf("%s takes %d arguments", name, len(proto.Params))
	}
}
