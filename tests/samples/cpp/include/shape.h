#pragma once
#include <memory>
#include <string>

namespace geometry {

/// Something with an area.
class Shape {
public:
    explicit Shape(std::string name);
    virtual ~Shape() = default;
    virtual double area() const = 0;
    const std::string &name() const { return name_; }

protected:
    std::string name_;
};

template <typename T>
class Box {
public:
    T *get() { return item_; }

private:
    T *item_ = nullptr;
};

using ShapePtr = std::unique_ptr<Shape>;

template <typename T>
T largest(T a, T b) {
    return a < b ? b : a;
}

}  // namespace geometry
