// Sender and receiver of the C++ library, for openigtlink_latency.py.
//
//   igtl_bench send PORT transform|image HZ COUNT    serves one client; HZ 0: as fast as it goes
//   igtl_bench receive PORT transform|image COUNT    prints one line for each message:
//                                                    arrival (s, Unix) and lateness (s)
//
// Messages are stamped before they are packed; the receiver checks the CRC and has the content
// in hand before it looks at the clock.

#include <time.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "igtlClientSocket.h"
#include "igtlImageMessage.h"
#include "igtlMessageHeader.h"
#include "igtlOSUtil.h"
#include "igtlServerSocket.h"
#include "igtlTransformMessage.h"

namespace {

double Now() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec + 1e-9 * now.tv_nsec;
}

void SleepUntil(double time_s) {
  timespec until;
  until.tv_sec = static_cast<time_t>(time_s);
  until.tv_nsec = static_cast<long>((time_s - std::floor(time_s)) * 1e9);
  clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL);
}

void Stamp(igtl::MessageBase* message) {
  const double now = Now();
  const unsigned int seconds = static_cast<unsigned int>(now);
  message->SetTimeStamp(seconds, static_cast<unsigned int>((now - seconds) * 4294967296.0));
}

void SendOne(igtl::Socket* socket, igtl::MessageBase* message) {
  Stamp(message);
  message->Pack();
  socket->Send(message->GetPackPointer(), message->GetPackSize());
}

int Send(int port, bool image, double hz, int count) {
  igtl::ServerSocket::Pointer server = igtl::ServerSocket::New();
  if (server->CreateServer(port) < 0) return 1;
  igtl::ClientSocket::Pointer socket = server->WaitForConnection(20000);
  if (socket.IsNull()) return 1;

  igtl::TransformMessage::Pointer transform = igtl::TransformMessage::New();
  transform->SetDeviceName("Needle");
  igtl::ImageMessage::Pointer picture = igtl::ImageMessage::New();
  picture->SetDeviceName("US");
  picture->SetDimensions(1024, 1024, 1);
  picture->SetScalarTypeToUint8();
  picture->AllocateScalars();
  unsigned char* pixels = static_cast<unsigned char*>(picture->GetScalarPointer());
  for (int i = 0; i < 1024 * 1024; ++i) pixels[i] = static_cast<unsigned char>(i * 7);

  igtl::Matrix4x4 matrix;
  igtl::IdentityMatrix(matrix);
  picture->SetSpacing(1, 1, 1);
  picture->SetMatrix(matrix);  // without it the library sends axes of length 0
  const double start = Now() + 0.3;
  SleepUntil(start);
  for (int i = 0; i < count; ++i) {
    if (hz > 0) SleepUntil(start + i / hz);
    if (image) {
      SendOne(socket, picture);
    } else {
      matrix[0][3] = static_cast<float>(i % 1000);
      transform->SetMatrix(matrix);
      SendOne(socket, transform);
    }
  }
  igtl::Sleep(1000);
  socket->CloseSocket();
  return 0;
}

int Receive(int port, bool image, int count) {
  igtl::ClientSocket::Pointer socket = igtl::ClientSocket::New();
  for (int i = 0; socket->ConnectToServer("127.0.0.1", port) != 0; ++i) {
    if (i == 200) return 1;
    igtl::Sleep(50);
  }
  socket->SetReceiveTimeout(3000);
  std::vector<double> arrivals, late;
  int damaged = 0;
  igtl::MessageHeader::Pointer header = igtl::MessageHeader::New();
  for (int i = 0; i < count; ++i) {
    header->InitPack();
    if (socket->Receive(header->GetPackPointer(), header->GetPackSize()) !=
        header->GetPackSize())
      break;
    header->Unpack();
    igtl::MessageBase::Pointer message;
    igtl::TransformMessage::Pointer transform = igtl::TransformMessage::New();
    igtl::ImageMessage::Pointer picture = igtl::ImageMessage::New();
    if (image)
      message = picture.GetPointer();
    else
      message = transform.GetPointer();
    message->SetMessageHeader(header);
    message->AllocatePack();
    socket->Receive(message->GetPackBodyPointer(), message->GetPackBodySize());
    if (!(message->Unpack(1) & igtl::MessageHeader::UNPACK_BODY)) {
      ++damaged;
      continue;
    }
    igtl::Matrix4x4 matrix;
    if (!image) transform->GetMatrix(matrix);
    unsigned int seconds, fraction;
    header->GetTimeStamp(&seconds, &fraction);
    const double now = Now();
    arrivals.push_back(now);
    late.push_back((now - seconds) - fraction / 4294967296.0);
  }
  for (size_t i = 0; i < late.size(); ++i) std::printf("%.6f %.9f\n", arrivals[i], late[i]);
  return damaged == 0 ? 0 : 2;
}

}  // namespace

int main(int argc, char* argv[]) {
  if (argc >= 5) {
    const int port = std::atoi(argv[2]);
    const bool image = std::strcmp(argv[3], "image") == 0;
    if (argc == 6 && std::strcmp(argv[1], "send") == 0)
      return Send(port, image, std::atof(argv[4]), std::atoi(argv[5]));
    if (argc == 5 && std::strcmp(argv[1], "receive") == 0)
      return Receive(port, image, std::atoi(argv[4]));
  }
  std::fprintf(stderr, "see the head of igtl_bench.cpp\n");
  return 64;
}
