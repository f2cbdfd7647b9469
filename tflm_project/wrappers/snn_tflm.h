// sparse_nn's kernels as TFLite Micro registrations: header only, C++17, no globals of its own.
//
//   resolver.AddConv2D(snn_tflm::Register<&model_sparse, tflite::Register_CONV_2D_INT8>());
//   resolver.AddFullyConnected(snn_tflm::Register<&model_sparse>());
//
// The first argument is the generated table of a network's layers, the second the registration
// that runs the layers which are not in it; leave it out where every layer is, and its kernels are
// not linked. A layer is found by where its weights lie in the flatbuffer, so the interpreter must
// be given the very array that the table was generated with.
//
// TFLite Micro's own registrations refuse layers whose weights were moved out of the flatbuffer:
// such a weight tensor has a type that no kernel of theirs takes.
#ifndef SNN_TFLM_H
#define SNN_TFLM_H

#include <cstdint>

#include "snn_tflm_layer.h"
#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/kernels/internal/tensor_ctypes.h"
#include "tensorflow/lite/kernels/kernel_util.h"
#include "tensorflow/lite/micro/kernels/kernel_util.h"
#include "tensorflow/lite/micro/micro_log.h"

namespace snn_tflm {

using Registration = TFLMRegistration (*)();

constexpr int kInput = 0;
constexpr int kWeights = 1;
constexpr int kOutput = 0;

// What a node keeps between calls.
struct NodeData {
    const snn_tflm_layer *layer; // nullptr: the other registration runs it
    void *other;                 // the other registration's own data
    int scratch;                 // handle of the scratch buffer
};

inline const snn_tflm_layer *FindLayer(const snn_tflm_network &network, const void *weights)
{
    const auto place = reinterpret_cast<std::uintptr_t>(weights);
    const auto start = reinterpret_cast<std::uintptr_t>(network.model);
    for (std::int32_t i = 0; i < network.count; i++) {
        if (place == start + network.layers[i].weights) {
            return &network.layers[i];
        }
    }
    return nullptr;
}

template <const snn_tflm_network *Network, Registration Other>
struct Kernel {
    static TFLMRegistration other()
    {
        if constexpr (Other != nullptr) {
            return Other();
        } else {
            return TFLMRegistration{};
        }
    }

    static void *Init(TfLiteContext *context, const char *buffer, size_t length)
    {
        auto *data = static_cast<NodeData *>(
            context->AllocatePersistentBuffer(context, sizeof(NodeData)));
        if (data != nullptr) {
            const TFLMRegistration rest = other();
            *data = NodeData{nullptr, rest.init ? rest.init(context, buffer, length) : nullptr, -1};
        }
        return data;
    }

    static TfLiteStatus Prepare(TfLiteContext *context, TfLiteNode *node)
    {
        auto *data = static_cast<NodeData *>(node->user_data);
        TF_LITE_ENSURE(context, data != nullptr);
        const TfLiteEvalTensor *weights = tflite::micro::GetEvalInput(context, node, kWeights);
        TF_LITE_ENSURE(context, weights != nullptr);
        data->layer = FindLayer(*Network, weights->data.data);
        if (data->layer == nullptr) {
            const TFLMRegistration rest = other();
            if (rest.prepare == nullptr) {
                MicroPrintf("sparse_nn: a layer is not in the table; generate the table and the "
                            "model together, and pass that very model to the interpreter");
                return kTfLiteError;
            }
            return Delegate(rest.prepare, context, node, data);
        }
        const TfLiteEvalTensor *input = tflite::micro::GetEvalInput(context, node, kInput);
        const TfLiteEvalTensor *output = tflite::micro::GetEvalOutput(context, node, kOutput);
        TF_LITE_ENSURE_TYPES_EQ(context, input->type, kTfLiteInt8);
        TF_LITE_ENSURE_TYPES_EQ(context, output->type, kTfLiteInt8);
        TF_LITE_ENSURE_EQ(context, Elements(input), data->layer->input_bytes);
        TF_LITE_ENSURE_EQ(context, Elements(output), data->layer->output_bytes);
        if (data->layer->scratch_bytes == 0) {
            return kTfLiteOk;
        }
        return context->RequestScratchBufferInArena(
            context, static_cast<size_t>(data->layer->scratch_bytes), &data->scratch);
    }

    static TfLiteStatus Invoke(TfLiteContext *context, TfLiteNode *node)
    {
        auto *data = static_cast<NodeData *>(node->user_data);
        if (data->layer == nullptr) {
            return Delegate(other().invoke, context, node, data);
        }
        const TfLiteEvalTensor *input = tflite::micro::GetEvalInput(context, node, kInput);
        TfLiteEvalTensor *output = tflite::micro::GetEvalOutput(context, node, kOutput);
        void *scratch =
            data->scratch < 0 ? nullptr : context->GetScratchBuffer(context, data->scratch);
        const snn_status status =
            data->layer->run(tflite::micro::GetTensorData<std::int8_t>(input),
                             tflite::micro::GetTensorData<std::int8_t>(output), scratch);
        return status == SNN_OK ? kTfLiteOk : kTfLiteError;
    }

private:
    // The other registration finds its own data in the node while it runs.
    template <typename Function>
    static TfLiteStatus Delegate(Function function, TfLiteContext *context, TfLiteNode *node,
                                 NodeData *data)
    {
        node->user_data = data->other;
        const TfLiteStatus status = function(context, node);
        node->user_data = data;
        return status;
    }

    static std::int32_t Elements(const TfLiteEvalTensor *tensor)
    {
        std::int32_t count = 1;
        for (int i = 0; i < tensor->dims->size; i++) {
            count *= tensor->dims->data[i];
        }
        return count;
    }
};

template <const snn_tflm_network *Network, Registration Other = nullptr>
TFLMRegistration Register()
{
    using K = Kernel<Network, Other>;
    return tflite::micro::RegisterOp(K::Init, K::Prepare, K::Invoke);
}

} // namespace snn_tflm

#endif
