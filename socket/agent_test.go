// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Scenarios are played by agents: processes that make the system calls that the test tells them, these and no others. So the test knows
// who did what and when, and a scenario reads like a script.
//
// An agent begins with exec, where the processes of a server only fork. To the kernel both share the open sockets with their parent
// in the same way, and Go programs cannot do without exec.

const (
	// agentEnv makes the test program an agent.
	agentEnv = "GIZMO_TEST_AGENT"
	// controlFD is where an agent gets its orders.
	controlFD = 3
	// agentTime ends agents that their test has forgotten.
	agentTime = 2 * time.Minute
	// maxMessage is the size of the largest order or answer.
	maxMessage = 16 << 10
	// magic begins each payload; the sender's pid follows.
	magic = 0x31415926
)

// order is a system call for an agent to make.
type order struct {
	Call string
	FD   int    `json:",omitempty"`
	Args []int  `json:",omitempty"`
	Addr string `json:",omitempty"` // "" for none
	Path string `json:",omitempty"`
	FDs  []int  `json:",omitempty"` // those that a new process inherits, or that send
}

// answer is the result of a system call.
type answer struct {
	FD    int `json:",omitempty"`
	Port  int `json:",omitempty"`
	PID   int `json:",omitempty"`
	Errno int `json:",omitempty"`
}

// serveAgent follows orders until the test closes the connection.
func serveAgent() int {
	runtime.LockOSThread() // some calls change the thread only
	time.AfterFunc(agentTime, func() { os.Exit(3) })
	for {
		o, fds, err := receiveMessage[order](controlFD)
		if err != nil {
			return 0
		}
		result, give, err := o.do(fds)
		var errno unix.Errno
		if errors.As(err, &errno) {
			result.Errno = int(errno)
		} else if err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
			return 1
		}
		if err := sendMessage(controlFD, result, give...); err != nil {
			return 1
		}
	}
}

func sendMessage(fd int, message any, give ...int) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	var rights []byte
	if len(give) > 0 {
		rights = unix.UnixRights(give...)
	}
	return unix.Sendmsg(fd, text, rights, nil, unix.MSG_NOSIGNAL)
}

func receiveMessage[T any](fd int) (message T, fds []int, err error) {
	text, rights := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4*4))
	n, oobn, _, _, err := unix.Recvmsg(fd, text, rights, unix.MSG_CMSG_CLOEXEC)
	for errors.Is(err, unix.EINTR) {
		n, oobn, _, _, err = unix.Recvmsg(fd, text, rights, unix.MSG_CMSG_CLOEXEC)
	}
	if err != nil {
		return message, nil, err
	}
	if n == 0 {
		return message, nil, errors.New("the other end is closed")
	}
	list, err := unix.ParseSocketControlMessage(rights[:oobn])
	if err != nil {
		return message, nil, err
	}
	for i := range list {
		some, err := unix.ParseUnixRights(&list[i])
		if err != nil {
			return message, nil, err
		}
		fds = append(fds, some...)
	}
	return message, fds, json.Unmarshal(text[:n], &message)
}

// do makes the call. It returns descriptors for the test.
func (o *order) do(fds []int) (a answer, give []int, err error) {
	switch o.Call {
	case "give":
		return a, []int{o.FD}, nil
	case "take":
		return answer{FD: fds[0]}, nil, nil
	case "spawn":
		a.PID, err = o.spawn(fds[0])
		return a, nil, errors.Join(err, unix.Close(fds[0]))
	case "exec":
		return a, nil, o.exec()
	case "unshare":
		return a, nil, unix.Unshare(unix.CLONE_NEWNET)
	case "loopback":
		return a, nil, raiseLoopback()
	case "write-file":
		return a, nil, os.WriteFile(o.Path, []byte(o.Addr), 0)
	case "chdir":
		return a, nil, os.Chdir(o.Path)
	case "many":
		a.FD, err = bindMany(o.Addr, o.Args[0], o.Args[1])
		return a, nil, err
	case "send-all":
		return a, nil, sendAll(o.FDs, o.Addr)
	}
	a, err = o.doSocket()
	return a, nil, err
}

// doSocket makes calls that concern one socket.
func (o *order) doSocket() (a answer, err error) {
	switch o.Call {
	case "socket":
		a.FD, err = unix.Socket(o.Args[0], o.Args[1]|unix.SOCK_CLOEXEC, o.Args[2])
	case "setsockopt":
		err = unix.SetsockoptInt(o.FD, o.Args[0], o.Args[1], o.Args[2])
	case "bind":
		err = unix.Bind(o.FD, sockaddr(o.Addr))
	case "listen":
		err = unix.Listen(o.FD, o.Args[0])
	case "connect":
		err = unix.Connect(o.FD, sockaddr(o.Addr))
	case "disconnect":
		unspecified := make([]byte, unix.SizeofSockaddrInet4)
		_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(o.FD), uintptr(unsafe.Pointer(&unspecified[0])), uintptr(len(unspecified)))
		err = errorOf(errno)
	case "accept":
		var peer unix.Sockaddr
		a.FD, peer, err = unix.Accept4(o.FD, unix.SOCK_CLOEXEC)
		a.Port = portOf(peer)
	case "accept-without-address":
		fd, _, errno := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(o.FD), 0, 0, unix.SOCK_CLOEXEC, 0, 0)
		a.FD, err = int(fd), errorOf(errno)
	case "write":
		_, err = unix.Write(o.FD, payload(o.Args[0]))
	case "sendto":
		err = unix.Sendto(o.FD, payload(o.Args[0]), o.Args[1], sockaddr(o.Addr))
	case "read":
		_, err = unix.Read(o.FD, make([]byte, o.Args[0]))
	case "close":
		err = unix.Close(o.FD)
	case "getsockname":
		var name unix.Sockaddr
		name, err = unix.Getsockname(o.FD)
		a.Port = portOf(name)
	default:
		err = fmt.Errorf("unknown call %q", o.Call)
	}
	return a, err
}

func errorOf(errno unix.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}

// payload returns data of a size that name the sender.
func payload(size int) []byte {
	data := make([]byte, max(size, 8))
	binary.NativeEndian.PutUint32(data, magic)
	binary.NativeEndian.PutUint32(data[4:], uint32(os.Getpid()))
	return data
}

// sockaddr parses an address; nil for none. The zone of IPv6 is the loopback interface.
func sockaddr(text string) unix.Sockaddr {
	if text == "" {
		return nil
	}
	at := netip.MustParseAddrPort(text)
	if at.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	a := &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	if at.Addr().Zone() != "" {
		a.ZoneId = 1
	}
	return a
}

func portOf(a unix.Sockaddr) int {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return a.Port
	case *unix.SockaddrInet6:
		return a.Port
	}
	return 0
}

// agentEnviron is the environment of agents. Signals of Go's scheduler would end their calls early.
func agentEnviron() []string {
	return append(os.Environ(), agentEnv+"=yes", "GODEBUG=asyncpreemptoff=1")
}

// spawn makes a new process, and an agent of it. It inherits sockets, from descriptor 4 on.
func (o *order) spawn(control int) (int, error) {
	files := []uintptr{0, 1, 2, uintptr(control)}
	for _, fd := range o.FDs {
		files = append(files, uintptr(fd))
	}
	pid, _, err := syscall.StartProcess(o.Path, []string{o.Path}, &syscall.ProcAttr{Env: agentEnviron(), Files: files})
	if err != nil {
		return 0, err
	}
	go func() {
		var status syscall.WaitStatus
		_, _ = syscall.Wait4(pid, &status, 0, nil)
	}()
	return pid, nil
}

// exec replaces the program of the agent's process by another, which goes on as an agent. The descriptor stays open.
func (o *order) exec() error {
	for _, fd := range []int{o.FD, controlFD} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return err
		}
	}
	if err := sendMessage(controlFD, answer{}); err != nil { // the next program answers the next order
		return err
	}
	return unix.Exec(o.Path, []string{o.Path}, agentEnviron())
}

// raiseLoopback sets the loopback interface up and gives it a link-local address.
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return err
	}
	six, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EAFNOSUPPORT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(six)
	request := struct { // struct in6_ifreq
		addr   [16]byte
		prefix uint32
		index  int32
	}{netip.MustParseAddr("fe80::1").As16(), 64, 1}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(six), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return errno
	}
	return awaitAddress("[fe80::1%lo]:0")
}

// awaitAddress waits until the kernel, which prepares addresses in the background, lets sockets use one.
func awaitAddress(addr string) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if err := unix.Bind(fd, sockaddr(addr)); !errors.Is(err, unix.EADDRNOTAVAIL) || time.Now().After(deadline) {
			return err
		}
	}
}

// bindMany opens sockets for UDP on an address, with n ports from one on. It returns the last descriptor; those of the others are the
// numbers below, except for the lowest ones, of which a test program inherits some.
func bindMany(addr string, port, n int) (last int, err error) {
	if err := allowDescriptors(n + 100); err != nil {
		return 0, err
	}
	for i := range n {
		last, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return 0, err
		}
		at := netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(port+i))
		if err := unix.Bind(last, sockaddr(at.String())); err != nil {
			return 0, err
		}
	}
	return last, nil
}

// allowDescriptors raises how many descriptors the process may have, to n at least.
func allowDescriptors(n int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Max = max(limit.Max, uint64(n))
	limit.Cur = limit.Max
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}

// sendAll sends a datagram from each of the descriptors.
func sendAll(fds []int, to string) error {
	for _, fd := range fds {
		if err := unix.Sendto(fd, payload(8), 0, sockaddr(to)); err != nil {
			return err
		}
	}
	return nil
}

// programNamed returns the path of this program under another name, which becomes that of processes.
func programNamed(dir, name string) (string, error) {
	path := filepath.Join(dir, name)
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if err := os.Symlink(self, path); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return path, nil
}
